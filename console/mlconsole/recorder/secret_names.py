"""Tells names of secrets from names that only sound like one, by their whole words."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRET = _set(
    "password passwd passphrase passcode secret secrets credential credentials apikey accesskey secretkey"
    " privatekey authtoken accesstoken authorization"
)
_KEY_OF = _set("api access secret private auth signing encryption master account service storage ssh subscription")
_TOKENS_OF = _set("api access auth refresh bearer session")

# A name that goes on so says something about a secret and is none: token_type, password_file.
_ABOUT = _set(
    "free less file path dir directory length len type policy required name names count size min max enabled"
    " hint format version field column id ids url uri endpoint manager store ttl expiry expires age strength"
    " rotation"
)

# A token of these kinds is a piece of text to a language model.
_TEXT_TOKEN = _set(
    "pad eos bos unk mask sep cls special next stop new per image audio video first last start end begin max"
    " min num n extra additional prompt input output target source decoder encoder forced think thinking word"
    " sub char byte text vocab class dist cost loss tok average avg mean total by of"
)


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name is a secret: ``hf_token`` is one, ``max_tokens`` is none."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    for before, word, after in zip(["", *words], words, [*words[1:], ""]):
        keyed = word in ("key", "keys") and before in _KEY_OF
        if (word in _SECRET or keyed) and after not in _ABOUT:
            return True
        if word == "pwd" and before:
            return True
    if words[-1] == "tokens":
        return len(words) > 1 and words[-2] in _TOKENS_OF
    return words[-1] == "token" and (len(words) == 1 or words[-2] not in _TEXT_TOKEN)

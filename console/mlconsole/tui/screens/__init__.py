"""The screens: each one module and one .tcss; the registrar is ``mlconsole.tui.places``."""

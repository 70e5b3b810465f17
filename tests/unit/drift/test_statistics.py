"""The statistics against scipy on the same data, and against sums done by hand."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
import scipy.special
import scipy.stats

from mlconsole.domain.drift import CategoryShape, ColumnProfile, Kind, Rule, TestDefinition, corrected
from mlconsole.drift import laws, tests
from mlconsole.drift.grid import ColumnSurvey, Cut, Survey, grid_of
from mlconsole.drift.profile import ColumnTally, NumberTally
from mlconsole.drift.stack import Categories, Numbers, Stack, stack_of
from mlconsole.drift.tests.missing import fisher
from mlconsole.drift.tests.wasserstein import statistic

SEED = 20_241


def numbers_of(reference: np.ndarray, current: np.ndarray, edges: np.ndarray | None = None) -> Numbers:
    """Both samples counted on all of their distinct values, or on these edges."""
    cut = Cut(Kind.FLOAT, array("d", (np.unique(np.r_[reference, current]) if edges is None else edges).tolist()))
    profiles = []
    for values in (reference, current):
        tally = ColumnTally("x", cut)
        assert tally.numbers is not None
        tally.numbers.add(values)
        tally.rows = len(values)
        profiles.append(tally.profile())
    return stack_of(profiles[0], [profiles[1]]).numbers()


def categories_of(reference: list[float], current: list[float]) -> Categories:
    labels = tuple(str(i) for i in range(len(reference)))
    return Categories(labels, np.array(reference, dtype=float), np.array([current], dtype=float))


def samples() -> list[tuple[np.ndarray, np.ndarray]]:
    r = np.random.default_rng(SEED)
    return [
        (r.normal(0, 1, 500), r.normal(0.3, 1, 200)),
        (r.lognormal(0, 2, 300), r.lognormal(0, 2, 900)),
        (r.integers(0, 6, 400).astype(float), r.integers(0, 7, 150).astype(float)),
        (r.normal(0, 1, 250), np.round(r.normal(0, 1, 250), 1)),
        (np.zeros(100), np.r_[np.zeros(60), np.ones(40)]),
    ]


@pytest.mark.parametrize("pair", samples())
def test_kolmogorov_s_distance_is_that_of_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    measured = tests.named("ks").numbers(numbers_of(*pair))  # type: ignore[misc]

    assert measured.effect[0] == pytest.approx(scipy.stats.ks_2samp(*pair).statistic, abs=1e-12)


@pytest.mark.parametrize("pair", samples())
def test_kolmogorov_s_distance_needs_the_values_of_the_reference_alone(pair: tuple[np.ndarray, np.ndarray]) -> None:
    measured = tests.named("ks").numbers(numbers_of(*pair, edges=np.unique(pair[0])))  # type: ignore[misc]

    assert measured.effect[0] == pytest.approx(scipy.stats.ks_2samp(*pair).statistic, abs=1e-12)


@pytest.mark.parametrize("pair", samples()[:4])
def test_wasserstein_s_distance_is_that_of_scipy_in_standard_deviations(pair: tuple[np.ndarray, np.ndarray]) -> None:
    measured = tests.named("wasserstein").numbers(numbers_of(*pair))  # type: ignore[misc]

    expected = scipy.stats.wasserstein_distance(*pair) / pair[0].std()
    assert measured.effect[0] == pytest.approx(expected, rel=1e-9)


def test_a_constant_reference_is_measured_by_the_spread_of_both() -> None:
    reference, current = np.zeros(100), np.ones(100)

    measured = tests.named("wasserstein").numbers(numbers_of(reference, current))  # type: ignore[misc]

    assert measured.effect[0] == pytest.approx(1 / 0.5)


def test_the_statistic_of_anderson_and_darling_is_that_of_scipy() -> None:
    r = np.random.default_rng(SEED)
    one, other = r.normal(0, 1, 400), r.normal(0.1, 1, 300)
    own = float(statistic(numbers_of(one, other))[0])

    # scipy gives the standardised one: (A2 - 1) / sigma, Scholz and Stephens 1987, equation 4, with two samples.
    method = scipy.stats.PermutationMethod(n_resamples=2, rng=0)
    found = scipy.stats.anderson_ksamp([one, other], variant="continuous", method=method).statistic
    sigma = _sigma(len(one), len(other))

    assert own == pytest.approx(found * sigma + 1, abs=0.01)


@pytest.mark.parametrize(("rare", "rows"), [(0.001, 30), (0.005, 30), (0.01, 30), (0.001, 100), (0.01, 100)])
def test_rare_numbers_are_called_no_more_often_than_the_level_says(rare: float, rows: int) -> None:
    r = np.random.default_rng(SEED)
    count, of = 50_000, 10_000
    seen = round(of * rare)
    windows = r.binomial(rows, rare, count).astype(float)
    nothing = np.zeros(count)
    current = np.stack([nothing, rows - windows, nothing, windows, nothing], axis=1)
    ours = np.array([0.0, of - seen, 0.0, seen, 0.0])
    numbers = Numbers(np.array([0.0, 1.0]), ours, current, np.ones(count), np.zeros((count, 2)), np.zeros(2))

    found = laws.anderson_darling(statistic(numbers))

    for level in (0.01, 0.001, 0.0002):
        assert (found <= level).mean() <= level + 4 * (level / count) ** 0.5, level


def _sigma(n: int, m: int) -> float:
    total, k = n + m, 2
    h = sum(1 / i for i in range(1, total))
    inverse = 1 / n + 1 / m
    g = sum((1 / np.arange(i + 1, total)).sum() / (total - i) for i in range(1, total - 1))
    a = (4 * g - 6) * (k - 1) + (10 - 6 * g) * inverse
    b = (2 * g - 4) * k**2 + 8 * h * k + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * k**2 + (4 * h - 4 * g + 6) * k + (2 * h - 6) * inverse + 4 * h
    d = (2 * h + 6) * k**2 - 4 * h * k
    return float(np.sqrt((a * total**3 + b * total**2 + c * total + d) / ((total - 1) * (total - 2) * (total - 3))))


@pytest.mark.parametrize(("chance", "point"), [(0.10, 1.933), (0.05, 2.492), (0.025, 3.070)])
def test_the_law_of_anderson_and_darling_has_the_published_points(chance: float, point: float) -> None:
    # Stephens, EDF Statistics for Goodness of Fit, JASA 69, 1974, table 1, case 0.
    assert laws.anderson_darling(np.array([point]))[0] == pytest.approx(chance, rel=0.02)


def test_the_law_of_anderson_and_darling_is_that_of_its_sum_of_chi_squares() -> None:
    r = np.random.default_rng(SEED)
    j = np.arange(1, 60)
    count = 50_000
    drawn = (r.chisquare(1, (count, len(j))) / (j * (j + 1))).sum(axis=1) + 1 / 60
    for point in (0.5, 1.0, 2.0, 3.0, 5.0):
        found = float((drawn > point).mean())
        tolerance = 5 * (found / count) ** 0.5 + 0.01 * found
        assert laws.anderson_darling(np.array([point]))[0] == pytest.approx(found, abs=tolerance), point


def test_the_parts_of_a_law_meet() -> None:
    for point in (2.0, laws.SERIES_FROM):
        below, above = laws.anderson_darling(np.array([point - 1e-9, point + 1e-9]))
        assert below == pytest.approx(above, rel=0.02)
    below, above = laws.kolmogorov(np.array([0.0999, 0.1001]), np.array([89.6, 89.6]))
    assert below > above == pytest.approx(below, rel=0.02)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 10, 57, 100])
def test_the_chi_square_law_is_that_of_scipy(freedom: int) -> None:
    points = np.array([0.0, 1e-9, 0.3, 1.0, 7.7, 40.0, 200.0, 1400.0, 5000.0])

    assert laws.chi_square(points, freedom) == pytest.approx(
        scipy.special.chdtrc(freedom, points), rel=1e-9, abs=1e-300
    )


def test_kolmogorov_s_law_is_that_of_scipy_within_its_correction() -> None:
    for n, distance in ((50, 0.2), (1000, 0.05), (1000, 0.08), (40, 0.35)):
        exact = scipy.stats.kstwo.sf(distance, n)
        assert laws.kolmogorov(np.array([distance]), np.array([float(n)]))[0] == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize("table", [([50, 30, 20], [30, 30, 40]), ([500, 300, 200], [8, 9, 13]), ([900, 100], [80, 20])])
def test_chi_square_is_the_more_careful_one_of_scipy_s_two(table: tuple[list[float], list[float]]) -> None:
    measured = tests.named("chi2").categories(categories_of(*table))  # type: ignore[misc]

    pearson = scipy.stats.chi2_contingency(table, correction=False).pvalue
    ratio = scipy.stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
    assert measured.p_value[0] == pytest.approx(max(pearson, ratio), rel=1e-9)


@pytest.mark.parametrize("name", ["chi2", "chi2_fit", "psi", "jensen_shannon", "linf", "cramers_v"])
@pytest.mark.parametrize(("values", "of", "rows"), [(100, 1_000, 1_000), (100, 10_000, 100), (10, 10_000, 30)])
def test_many_categories_are_called_no_more_often_than_the_level_says(
    name: str, values: int, of: int, rows: int
) -> None:
    r = np.random.default_rng(SEED)
    each, many = 100, 40
    shares = np.full(values, 1 / values)
    called = np.zeros(0)
    for _ in range(many):
        seen = dict(enumerate(r.multinomial(of, shares)))
        survey = ColumnSurvey(Kind.TEXT, values={str(value): int(count) for value, count in seen.items() if count})
        names = [int(value) for value in grid_of([Survey({"x": survey}, of)], is_stored=True).cuts["x"].values]
        known = tuple(int(seen[value]) for value in names)
        shape = CategoryShape(tuple(map(str, names)), known, of - sum(known), len(seen))
        drawn = r.multinomial(rows, shares, each)
        own = drawn[:, names]
        cells = np.hstack([own, rows - own.sum(axis=1, keepdims=True)]).astype(float)
        nothing = np.zeros(each)
        column = ColumnProfile("x", Kind.TEXT, of, shape=shape)
        stack = Stack(column, np.full(each, rows), nothing, cells, np.zeros((each, 2)), nothing, nothing)
        called = np.append(called, tests.named(name).categories(stack.categories()).p_value)  # type: ignore[misc]

    for level in (0.01, 0.001):
        assert (called <= level).mean() <= level + 4 * (level / len(called)) ** 0.5, level


@pytest.mark.parametrize(
    ("values", "before", "now"),
    [
        (("a", "b", "c"), (600, 300, 80, 20), (600, 200, 180, 20)),
        (("a",), (9_990, 10), (9_000, 1_000)),
        (("a", "b"), (5_000, 4_998, 2), (4_000, 5_998, 2)),
    ],
)
def test_a_category_that_is_certain_to_be_named_is_seen_to_move(
    values: tuple[str, ...], before: tuple[int, ...], now: tuple[int, ...]
) -> None:
    ours, theirs = (
        ColumnProfile("x", Kind.TEXT, sum(counts), shape=CategoryShape(values, counts[:-1], counts[-1], 30))
        for counts in (before, now)
    )

    measured = tests.named("chi2").categories(stack_of(ours, [theirs]).categories())  # type: ignore[misc]

    assert measured.p_value[0] < 1e-9


def rare_values(count: int, rows: int, r: np.random.Generator, begins: str = "z") -> list[str]:
    return [f"{begins}{i}" for i in r.integers(0, count, rows)]


def chance_of(reference: list[str], current: list[str]) -> float:
    """The chance by chi2 of two columns of texts, as a monitor compares them."""
    import polars as pl

    looked = Survey({"x": ColumnSurvey(Kind.TEXT)}, len(reference))
    looked.columns["x"].look_at(pl.Series("x", reference), None)
    cut = grid_of([looked], is_stored=True).cuts["x"]
    profiles = []
    for values in (reference, current):
        tally = ColumnTally("x", cut)
        tally.add(pl.DataFrame({"x": values}))
        profiles.append(tally.profile())
    categories = stack_of(profiles[0], [profiles[1]]).categories()
    return float(tests.named("chi2").categories(categories).p_value[0])  # type: ignore[misc]


def test_rare_values_that_became_others_are_seen_though_none_has_a_name() -> None:
    r = np.random.default_rng(SEED)
    before = rare_values(2_000, 20_000, r)

    assert chance_of(before, rare_values(2_000, 2_000, r)) > 0.01
    assert chance_of(before, rare_values(500, 2_000, r, begins="new")) < 1e-4
    assert chance_of(before, [*rare_values(2_000, 1_800, r), *["z1"] * 200]) < 1e-4


def test_a_bin_that_is_empty_on_both_sides_adds_nothing_to_the_stability_index() -> None:
    both = [
        tests.named("psi").categories(one).effect[0]
        for one in (  # type: ignore[misc]
            categories_of([9_000, 1_000], [27, 3]),
            categories_of([9_000, 1_000, 0], [27, 3, 0]),
        )
    ]

    assert both[0] == both[1]


def test_total_variation_by_hand() -> None:
    measured = tests.named("chi2").categories(categories_of([50, 30, 20], [30, 30, 40]))  # type: ignore[misc]

    assert measured.effect[0] == pytest.approx(0.2)


def test_goodness_of_fit_to_a_vast_reference_is_that_of_scipy() -> None:
    many = categories_of([5e9, 3e9, 2e9], [35, 39, 26])

    measured = tests.named("chi2_fit").categories(many)  # type: ignore[misc]

    found = scipy.stats.chisquare([35, 39, 26], [50, 30, 20])
    ratio = scipy.stats.power_divergence([35, 39, 26], [50, 30, 20], lambda_="log-likelihood")
    assert measured.p_value[0] == pytest.approx(max(found.pvalue, ratio.pvalue), rel=1e-6)
    assert measured.effect[0] == pytest.approx((found.statistic / 100) ** 0.5, rel=1e-6)


def test_goodness_of_fit_to_a_reference_of_the_same_size_is_half_as_certain() -> None:
    same = categories_of([500, 300, 200], [450, 330, 220])

    measured = tests.named("chi2_fit").categories(same)  # type: ignore[misc]

    found = scipy.stats.chisquare([450, 330, 220], [500, 300, 200])
    halved = scipy.stats.chi2.sf(found.statistic / 2, 2)
    assert measured.p_value[0] == pytest.approx(halved, rel=0.1) and measured.p_value[0] >= halved


def test_jensen_and_shannon_s_distance_is_that_of_scipy_to_base_2() -> None:
    from scipy.spatial.distance import jensenshannon

    measured = tests.named("jensen_shannon").categories(categories_of([50, 30, 20, 0], [30, 30, 30, 10]))  # type: ignore[misc]

    expected = jensenshannon([0.5, 0.3, 0.2, 0], [0.3, 0.3, 0.3, 0.1], base=2)
    assert measured.effect[0] == pytest.approx(expected)


def test_jensen_and_shannon_s_distance_of_nothing_in_common_is_1() -> None:
    measured = tests.named("jensen_shannon").categories(categories_of([50, 0], [0, 50]))  # type: ignore[misc]

    assert measured.effect[0] == pytest.approx(1.0)


def test_the_stability_index_by_hand_has_half_a_value_in_each_bin() -> None:
    measured = tests.named("psi").categories(categories_of([9.5, 9.5], [9.5, 0]))  # type: ignore[misc]

    # (10/10.5 - 0.5) ln(10/10.5 / 0.5) + (0.5/10.5 - 0.5) ln(0.5/10.5 / 0.5)
    assert measured.effect[0] == pytest.approx(0.452381 * 0.644357 + 0.452381 * 2.351375, rel=1e-5)


def test_cramer_s_v_does_not_shrink_as_the_reference_grows() -> None:
    small, large = (categories_of([n / 2, n / 2], [750, 250]) for n in (1_000, 100_000))

    values = [tests.named("cramers_v").categories(one).effect[0] for one in (small, large)]  # type: ignore[misc]

    table = [[500, 500], [750, 250]]
    assert values == pytest.approx([scipy.stats.contingency.association(table, method="cramer")] * 2)


def test_the_largest_change_of_a_share_by_hand() -> None:
    measured = tests.named("linf").categories(categories_of([50, 30, 20], [30, 35, 35]))  # type: ignore[misc]

    worst = max(
        max(
            scipy.stats.chi2_contingency(t, correction=False).pvalue,
            scipy.stats.chi2_contingency(t, correction=False, lambda_="log-likelihood").pvalue,
        )
        for t in [[[50, 50], [30, 70]]]
    )
    assert measured.effect[0] == pytest.approx(0.2)
    assert measured.p_value[0] == pytest.approx(3 * worst)


@pytest.mark.parametrize(
    "table", [(0, 1000, 3, 30), (5, 500, 0, 40), (2, 30, 9, 35), (1, 10, 1, 10), (1000, 1000, 29, 30)]
)
def test_fisher_s_chance_is_that_of_scipy(table: tuple[int, int, int, int]) -> None:
    a, n, b, m = table

    assert fisher(a, n, b, m) == pytest.approx(scipy.stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue, rel=1e-6)


def test_the_correction_is_that_of_scipy() -> None:
    chances = np.random.default_rng(SEED).random(40) ** 3

    assert corrected(chances.tolist()) == pytest.approx(scipy.stats.false_discovery_control(chances))


def test_moments_merged_in_pieces_are_those_of_the_whole() -> None:
    values = np.random.default_rng(SEED).normal(1e9, 1, 100_000)
    tally = NumberTally(array("d", [1e9]))

    tally.add(values)
    shape = tally.shape()

    assert shape is not None
    assert (shape.mean, shape.std) == pytest.approx((values.mean(), values.std()))
    assert (shape.low, shape.high, sum(shape.counts)) == (values.min(), values.max(), 100_000)


def test_numbers_beyond_the_square_root_of_the_largest_have_finite_effects() -> None:
    huge = np.r_[np.linspace(-1, 1, 100) * 1e308, np.zeros(20)]

    measured = tests.named("wasserstein").numbers(numbers_of(huge, np.zeros(100)))  # type: ignore[misc]

    assert 0 < measured.effect[0] < 10


@pytest.mark.parametrize("name", tests.TESTS)
def test_every_test_says_what_it_is(name: str) -> None:
    test = tests.named(name)
    definition = test.definition

    assert isinstance(definition, TestDefinition) and definition.name == name
    assert all((definition.summary, definition.definition, definition.p_value, definition.source, definition.unit))
    assert any((test.numbers, test.categories, test.rows, test.sample)) and definition.floor > 0
    assert "exact" in definition.p_value or "asymptotic" in definition.p_value


@pytest.mark.parametrize("name", tests.TESTS)
def test_equal_samples_have_no_effect_and_a_chance_of_one(name: str) -> None:
    test = tests.named(name)
    column = ColumnProfile("x", Kind.TEXT, 100, shape=CategoryShape(("a", "b"), (60, 40), 0, 2))
    stack = stack_of(column, [column])
    values = np.r_[np.zeros(60), np.ones(40)]

    if test.sample is not None:
        effect, chance = test.sample(values[:, None], values[:, None])
        assert effect == pytest.approx(0, abs=1e-6) and chance > 0.5
        return
    if test.numbers is not None:
        measured = test.numbers(numbers_of(values, values))
    elif test.categories is not None:
        measured = test.categories(stack.categories())
    else:
        assert test.rows is not None
        measured = test.rows(stack)

    assert measured.effect[0] == pytest.approx(0, abs=1e-6) and measured.p_value[0] == pytest.approx(1)
    assert Rule().floor(test.definition) == test.definition.floor

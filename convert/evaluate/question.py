"""What a bundle is asked: the question is that of its main head."""

from __future__ import annotations

from convert.evaluate.plan import EvaluationPlan
from engines.errors import UsageError
from engines.manifest import BundleManifest, GradesHead, ProbabilityHead, RegressionHead

ClassHead = ProbabilityHead | GradesHead
EGFR_CUT = 60.0


def question_of(manifest: BundleManifest) -> RegressionHead | ClassHead:
    """Return the main head, if its answers can be evaluated: an eGFR, a probability or grades.

    Raises
    ------
    UsageError
        It gives a number of another kind.
    """
    main = manifest.heads[0]
    if isinstance(main, RegressionHead) and main.quantity != "egfr":
        raise UsageError(
            f"The bundle {manifest.bundle_id} cannot be evaluated",
            f"its main answer, {main.title} in {main.unit}, is neither an eGFR nor a probability nor grades",
            "evaluate a bundle that gives one of these",
        )
    return main


def column_of(head: RegressionHead | ClassHead) -> str:
    """Return the column of the table that holds the reference."""
    return head.name if isinstance(head, ClassHead) else "egfr"


def class_names(head: ClassHead) -> tuple[str, ...]:
    """Return the classes, lowest first; of a probability the side without the event is the first."""
    return head.grades if isinstance(head, GradesHead) else (f"not {head.event}", head.event)


def check_question(plan: EvaluationPlan, manifest: BundleManifest, other: BundleManifest | None) -> None:
    """Refuse what a plan asks of a bundle that answers something else.

    Raises
    ------
    UsageError
        A second bundle answers another question, a reader gives eGFR or calls of more than two grades, or an eGFR
        cut is set for a bundle without an eGFR.
    """
    head, what = question_of(manifest), "The evaluation cannot start"
    if other is not None and not _same(head, question_of(other)):
        because = f"{manifest.bundle_id} and {other.bundle_id} do not give the same answer, {head.title}"
        raise UsageError(what, because, "compare bundles that do")
    if not isinstance(head, ClassHead):
        return
    contender = plan.contender
    if contender.reader_column is not None and contender.reader_means == "egfr":
        because = f"the reader column holds eGFR and the bundle gives {head.title}"
        raise UsageError(what, because, "add --reader-means score")
    if contender.reader_column is not None and len(class_names(head)) > 2:
        because = f"{head.title} has {len(class_names(head))} grades and a column of readers is compared on two sides"
        raise UsageError(what, because, "leave --reader-column out, or compare with a second bundle")
    if plan.cut != EGFR_CUT:
        because = f"--cut is of an eGFR and the bundle gives {head.title}"
        raise UsageError(what, because, "leave it out: a probability has its own cut in the bundle")


def _same(first: RegressionHead | ClassHead, second: RegressionHead | ClassHead) -> bool:
    if isinstance(first, ClassHead) and isinstance(second, ClassHead):
        return (first.name, class_names(first)) == (second.name, class_names(second))
    return isinstance(first, RegressionHead) and isinstance(second, RegressionHead)

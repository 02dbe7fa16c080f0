"""One evaluation from plan to folder."""

from __future__ import annotations

from convert.evaluate.cohort import read_cohort
from convert.evaluate.document import Evaluation
from convert.evaluate.material import Material
from convert.evaluate.measure import measure
from convert.evaluate.measure_classes import measure_classes
from convert.evaluate.page import render_page
from convert.evaluate.plan import EvaluationPlan
from convert.evaluate.question import check_question, question_of
from convert.evaluate.readings import read_all
from convert.evaluate.sample import ClassSample
from convert.evaluate.tables import write_tables
from convert.folder import Kind, all_or_nothing, check_target
from convert.progress import Progress
from engines.localizer import open_reader

PAGE, DOCUMENT = "evaluation.html", "evaluation.json"
EVALUATION = Kind("evaluation", DOCUMENT)


def run(plan: EvaluationPlan, progress: Progress) -> Evaluation:
    """Evaluate and write; the folder appears complete or not at all.

    Raises
    ------
    EchoGFRError
        The target, a bundle or the table cannot be used, or the bundle failed its self-test.
    """
    check_target(plan.out, plan.force, EVALUATION)
    bundle = open_reader(plan.bundle)
    other = None if plan.contender.bundle is None else open_reader(plan.contender.bundle)
    check_question(plan, bundle.manifest, None if other is None else other.manifest)
    cohort = read_cohort(plan, question_of(bundle.manifest), progress)
    readings = read_all(bundle, plan.precision, cohort, progress)
    against = None if other is None else read_all(other, plan.precision, cohort, progress, second=True)
    material = Material(plan, cohort, readings, against)
    of_classes = isinstance(readings.sample, ClassSample)
    document = measure_classes(material, progress) if of_classes else measure(material, progress)
    with all_or_nothing(plan.out, plan.force, EVALUATION) as folder:
        write_tables(folder, document, cohort, readings)
        (folder / PAGE).write_text(render_page(document, readings.sample), encoding="utf-8")
        (folder / DOCUMENT).write_text(document.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return document

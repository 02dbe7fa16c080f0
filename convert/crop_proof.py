"""Proves any model that comes with crops of a hospital: one prover for every source of weights.

How to use it::

    material = Material(model, heads, calibration, training, members, parameters, Claims(...), known)
    prover = CropProver(crops, Origin(files=(SourceFile(name, sha256), ...)))
    assemble(plan, material, progress, prover)

What it does: parity of every artifact on the held crops, by head; an examination that the source asks for
(``Origin.examine``: the polarity of Kuo's trees); an interval for each regression, of labelled local patients where
there are 50, else the published one (``Origin.published``), else none, and said so; the domain check, from features
where the graph gives them and from texture; golden vectors; card and report.

``crops`` is anything with the fields of ``Crops``. Nothing here knows a single model.
"""

"""Gives a student who handed in the module alone the lab notebook that was released, with nothing answered in it.

    add_missing_notebooks(Path("/srv/nbgrader/minigpt"))      # [.../submitted/ada/04_attention/attention.ipynb]

`nbgrader autograde` looks for notebooks: where there is none it passes over the student, who then has no points. The
generated nbgrader_config.py calls this, so that it happens before any of nbgrader's commands looks. JupyterLab reads
that file when it starts, and not again before formgrader's buttons are pressed.

Never touches a file that is there. Does nothing for a student without the module: nothing was handed in.
"""

from __future__ import annotations

from pathlib import Path

from traitlets.log import get_logger

from autograder.files import write_atomically


def add_missing_notebooks(course_directory: Path) -> list[Path]:
    """Copies `release/ASSIGNMENT/NAME.ipynb` beside each `submitted/STUDENT/ASSIGNMENT/NAME.py` that is without.

    nbgrader's log has a line for each. One that cannot be written is an error in that log, and no reason to stop.
    """
    added = []
    for notebook in sorted((course_directory / "release").glob("*/*.ipynb")):
        assignment = notebook.parent.name
        for module in sorted((course_directory / "submitted").glob(f"*/{assignment}/{notebook.stem}.py")):
            missing = module.with_suffix(".ipynb")
            if missing.exists() or missing.is_symlink():
                continue
            try:
                write_atomically(missing, notebook.read_bytes())
            except OSError as error:
                get_logger().error("%s is missing, and cannot be put there: %s", missing, error)
            else:
                get_logger().warning("%s was not handed in: the released one, unanswered, is there now", missing)
                added.append(missing)
    return added

"""The choices of every configuration group: a file's first line, a comment, says what it is."""

from pathlib import Path

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("data", "model", "attribution", "prior", "train", "evaluate", "experiment")  # in the order the data flows


def choices() -> str:
    """One line for each choice of each group."""
    lines = []
    for group in GROUPS:
        lines.append(f"{group}=")
        for path in sorted((CONF / group).rglob("*.yaml")):
            name = path.relative_to(CONF / group).with_suffix("").as_posix()
            lines.append(f"  {name:<22} {path.read_text().splitlines()[0].removeprefix('# ')}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(choices())

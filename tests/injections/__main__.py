"""`python -m tests.injections`: what a model that obeys whatever it reads can do, with each guard and without."""

from collections import Counter

from tests.injections.obeying import Guards, harmed, obeyed
from tests.injections.table import TABLE


def report() -> str:
    seen = [obeyed(injection, Guards()) for injection in TABLE]
    asked = sum(each.task_asked for each in seen)
    tasks = sum(bool(injection.task.done) for injection in TABLE)
    kinds = Counter("of our own kinds" if injection.ours else f"in a {injection.where}" for injection in TABLE)
    lines = [
        f"{len(TABLE)} injections: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items()),
        *(
            f"{name:40} {len(harmed(guards)):3} done without a person"
            for name, guards in (
                ("neither", Guards(provenance=False, question=False)),
                ("tools for this question alone", Guards(provenance=False)),
                ("provenance alone", Guards(question=False)),
                ("both", Guards()),
            )
        ),
        f"the customers' own tasks with an effect: {sum(each.task_done for each in seen)} of {len(TABLE)} runs end as "
        f"wanted; of {tasks} with an effect {asked} ask a person",
        "stopped by provenance alone:",
        *(f"  {injection.name}" for injection in harmed(Guards(provenance=False))),
        "stopped by tools for this question alone:",
        *(f"  {injection.name}" for injection in harmed(Guards(question=False))),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())

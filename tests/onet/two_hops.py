"""What two relationships lead to from an occupation, computed from the files of the data set: lines of `depth id`."""

import csv
import sys
from pathlib import Path


def rows(folder, name):
    with open(Path(folder) / name, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def main(folder, start):
    near = {}

    def link(one, other):
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)

    for row in rows(folder, "related_occupations.tsv"):
        link(row["O*NET-SOC Code"], row["Related O*NET-SOC Code"])
    for row in rows(folder, "technology_skills.tsv"):
        link(row["O*NET-SOC Code"], "commodities/" + row["Commodity Code"])
    first = near.get(start, set()) - {start}
    second = set().union(*(near[thing] for thing in first)) - first - {start}
    for depth, things in (1, first), (2, second):
        for thing in sorted(things):
            print(depth, thing)


main(*sys.argv[1:])

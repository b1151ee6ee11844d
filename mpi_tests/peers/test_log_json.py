"""`--log-json`: whatever a command says on standard error is one JSON object a line."""

from __future__ import annotations

import datetime
import json

import pytest

from plates import make_plate, write_plates
from program import Outcome, cellmill, succeed

# mpirun adds words of its own when a rank fails.
QUIET_MPIRUN = {"OMPI_MCA_orte_execute_quiet": "1"}
LEVELS = {"debug", "info", "warning", "error"}


def records(outcome: Outcome) -> list[dict]:
    """All that was said; each line has the usual fields."""
    found = [json.loads(line) for line in outcome.stderr.splitlines()]
    for record in found:
        assert list(record)[:4] == ["time", "level", "rank", "message"]
        assert record["time"].endswith("Z")
        said = datetime.datetime.fromisoformat(record["time"])
        assert abs(datetime.datetime.now(datetime.UTC) - said) < datetime.timedelta(hours=1)
        assert record["level"] in LEVELS
        assert isinstance(record["rank"], int)
        assert record["message"].strip() == record["message"] != ""
        assert "\x1b" not in record["message"]
    return found


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_run_tells_its_progress(simulated, tmp_path, ranks):
    outcome = succeed(
        "run", *simulated, "-o", tmp_path / "out.zarr", "--n-top-genes", 300, "--log-json", "--json", ranks=ranks
    )
    assert outcome.json["cells"] == 15000
    said = records(outcome)
    assert {record["rank"] for record in said} == {0}
    assert any("genes were chosen" in record["message"] for record in said)
    passes = {record["what"]: record for record in said if record.get("finished")}
    assert list(passes) == ["pass 1 (counts)", "pass 2 (Gram matrix)", "pass 3 (projection)"]
    for record in passes.values():
        assert record["level"] == "info"
        assert record["done"] == record["total"] == 15000
        assert record["cells_per_second"] == pytest.approx(15000 / record["seconds"])
        assert record["gb_per_second"] > 0
        assert record["seconds_left"] == 0


def test_every_rank_says_which_one_it_is(simulated, tmp_path):
    command = ["run", *simulated, "-o", tmp_path / "out.zarr", "--log-json", "--log-level", "debug"]
    said = [record for record in records(succeed(*command, ranks=2)) if record["level"] == "debug"]
    begins = [record["rank"] for record in said if record["message"] == "pass 1 (counts) begins"]
    assert sorted(begins) == [0, 1]


def test_a_warning_has_a_level_and_no_prefix(tmp_path):
    adatas = [make_plate(number) for number in (1, 2)]
    for adata in adatas:
        adata.obs["plate"] = "mine"
    paths = write_plates(tmp_path, adatas)
    said = records(succeed("run", *paths, "-o", tmp_path / "out.zarr", "--n-comps", 5, "--log-json"))
    warnings = [record["message"] for record in said if record["level"] == "warning"]
    assert sum("obs: the column 'plate' is replaced" in message for message in warnings) == 2
    assert not any("warning" in message for message in warnings)


@pytest.mark.parametrize("ranks", [0, 2])
def test_an_error_is_the_last_line(simulated, tmp_path, ranks):
    command = ["run", *simulated, tmp_path / "none.h5ad", "-o", tmp_path / "out.zarr", "--log-json"]
    outcome = cellmill(*command, ranks=ranks, env=QUIET_MPIRUN)
    assert outcome.status == 1
    *_, last = said = records(outcome)
    assert [record["level"] for record in said].count("error") == 1
    assert (last["level"], last["rank"], last["kind"], last["status"]) == ("error", 0, "not_found", 1)
    assert "none.h5ad" in last["message"]
    assert not last["message"].startswith("error")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["run", "a.h5ad", "-o", "out.zarr", "--n-comp", "3", "--log-json"], "usage"),
        (["run", "a.h5ad", "-o", "out.zarr", "--threads", "none", "--log-json"], "usage"),
        (["run", "--log-json"], "usage"),
        (["rum", "--log-json"], "usage"),
        (["info", "nø\udcff.h5ad", "--log-json", "--log-level", "off"], "not_found"),
    ],
)
def test_errors_before_anything_begins(words, kind):
    outcome = cellmill(*words)
    [said] = records(outcome)
    assert (said["level"], said["kind"]) == ("error", kind)
    assert said["status"] == outcome.status


@pytest.mark.parametrize(("name", "line"), [("run.toml", "log-json = true"), ("run.yaml", "log-json: true")])
def test_in_a_configuration_file(plates, tmp_path, name, line):
    paths, _ = plates
    file = tmp_path / name
    file.write_text(line + "\n")
    command = ["run", *paths, "-o", tmp_path / "out.zarr", "--n-comps", 5, "--config", file]
    assert records(succeed(*command))
    [said] = records(cellmill(*command))  # the output is there
    assert (said["level"], said["status"]) == ("error", 1)
    file.write_text(file.read_text() + line.replace("log-json", "threads").replace("true", '"many"') + "\n")
    [said] = records(cellmill(*command))  # an option that is read before --log-json is
    assert "--threads" in said["message"]


@pytest.mark.parametrize(
    "command",
    [
        ["info"],
        ["validate"],
        ["shard", "-o", "out.zarr", "--shuffle"],
        ["concat", "-o", "out.zarr"],
        ["run", "-o", "out.zarr", "--n-comps", "5"],
    ],
)
def test_every_command_has_it(plates, tmp_path, command):
    paths, _ = plates
    name, *options = command
    again = ["--overwrite"] if options else []
    outcome = succeed(name, *paths, *options, "--log-json", cwd=tmp_path)
    records(outcome)
    assert "cellmill: " not in outcome.stderr
    for words in (["convert", paths[0], "-o", "copy.zarr", *again], ["simulate", "made", "--cells", 10]):
        if name == "run":
            records(succeed(*words, "--log-json", cwd=tmp_path))

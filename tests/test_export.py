# SPDX-License-Identifier: MIT
"""Plain files of results: read back by other programs, and known to the course's."""

import csv

import numpy as np
import pytest
from test_plot import X, Y, field, write

from hpcapp.cli import run_command_line
from hpcapp.errors import ConfigError
from hpcapp.studies.export import export_result


@pytest.fixture
def result(tmp_path):
    u = np.arange(600.0).reshape(20, 30) / 7
    variables = {
        **field(u),
        "note": (("line",), np.array(["a,b", 'say "é"'], object)),
        "n": ((), 3, "1", "a number"),
    }
    return write(tmp_path / "result.nc", variables), u


def test_rows_of_csv_are_coordinates_and_value_with_all_bits(tmp_path, result):
    path, u = result
    told = export_result(path, "csv", None, ["u"])
    assert told == f"{tmp_path / 'export'}: u.csv"
    with open(tmp_path / "export" / "u.csv", newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head == ["y", "x", "u"]
    values = np.array(rows, float)
    np.testing.assert_array_equal(values[:, 0], np.repeat(Y, 30))
    np.testing.assert_array_equal(values[:, 1], np.tile(X, 20))
    np.testing.assert_array_equal(values[:, 2], u.ravel())


def test_texts_are_quoted_and_numbers_stand_in_one_table(tmp_path, result):
    told = export_result(result[0], "csv", str(tmp_path / "out"))
    assert set(told.partition(": ")[2].split(", ")) == {
        *("note.csv", "scalars.csv", "u.csv", "x.csv", "y.csv")
    }
    with open(tmp_path / "out" / "note.csv", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["line", "note"],
            ["0", "a,b"],
            ["1", 'say "é"'],
        ]
    assert (tmp_path / "out" / "scalars.csv").read_text() == "name,value\nn,3\n"


def test_arrays_of_numpy_have_shape_type_and_bits(tmp_path, result):
    export_result(result[0], "npy")
    folder = tmp_path / "export"
    np.testing.assert_array_equal(np.load(folder / "u.npy"), result[1])
    assert np.load(folder / "n.npy") == 3
    assert np.load(folder / "note.npy").tolist() == ["a,b", 'say "é"']


def test_columns_between_blanks_are_read_by_numpy(tmp_path, result):
    export_result(result[0], "dat", None, ["u", "n"])
    values = np.loadtxt(tmp_path / "export" / "u.dat")
    assert values.shape == (600, 3)
    np.testing.assert_array_equal(values[:, 2], result[1].ravel())


def test_fields_larger_than_a_piece_keep_their_order(tmp_path):
    values = np.arange(2 * 1300 * 1000, dtype=np.int32).reshape(2, 1300, 1000)
    path = write(tmp_path / "r.nc", {"a": (("t", "y", "x"), values)})
    export_result(path, "npy")
    np.testing.assert_array_equal(np.load(tmp_path / "export" / "a.npy"), values)


def test_variable_that_is_not_there_is_refused_with_the_nearest(result):
    with pytest.raises(ConfigError, match=r"--variable: must be in the result, got no"):
        export_result(result[0], "csv", None, ["not"])
    with pytest.raises(ConfigError, match=r"got nite; did you mean note\?"):
        export_result(result[0], "csv", None, ["nite"])


def test_folder_that_cannot_be_made_is_told(tmp_path, result):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written: .*; name another"):
        export_result(result[0], "csv", str(tmp_path / "file" / "x"))


def test_command_names_the_folder_and_refuses_other_formats(tmp_path, result, capsys):
    assert run_command_line(["export", result[0], "--format", "npy"]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'export'}: ")
    with pytest.raises(SystemExit):
        run_command_line(["export", result[0], "--format", "xls"])
    assert "invalid choice: 'xls'" in capsys.readouterr().err


def test_words_give_the_files_of_the_course(tmp_path):
    texts = {
        "book": (("book",), np.array(["pg1", "pg1"], object)),
        "place": (("place",), np.array([1, 2, 3])),
        "word": (("book", "place"), np.array([["the", "é", ""]] * 2, object)),
        "occurrences": (("book", "place"), np.array([[6, 2, 0], [5, 1, 0]])),
        "total": (("book",), np.array([9, 8])),
        "mean_acf": (("book", "lag"), np.array([[1.0, 0.25], [1.0, 0.5]])),
    }
    path = write(tmp_path / "result.nc", texts, hpcapp_workload="words")
    told = export_result(path, "dat")
    names = ["pg1.dat", "acf_pg1.dat", "pg1-2.dat", "acf_pg1-2.dat", "results.csv"]
    assert told == f"{tmp_path / 'export'}: {', '.join(names)}"
    files = {name: (tmp_path / "export" / name).read_text("utf-8") for name in names}
    assert files["pg1.dat"] == (f"the 6 {6 / 9 * 100.0}\né 2 {2 / 9 * 100.0}\n")
    assert files["results.csv"] == "Book,word1,word2,word3\npg1,6,2,0\npg1-2,5,1,0\n"
    # as numpy.savetxt writes lags from 1 and values, which is what the course does
    lags = np.vstack((np.arange(1, 3), [1.0, 0.5])).T
    np.savetxt(tmp_path / "expected", lags, delimiter=",")
    assert files["acf_pg1-2.dat"] == (tmp_path / "expected").read_text()

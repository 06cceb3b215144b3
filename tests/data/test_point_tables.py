import numpy as np
import pytest

from voxseed.data.labels import Labels
from voxseed.data.point_tables import read_point_table
from voxseed.errors import InputError

ONE, TWO = Labels.of_foreground(["tumour"]), Labels.of_foreground(["tumour", "cyst"])
HEADER = "case,class,object,role,x,y,z\n"


def write(tmp_path, text):
    path = tmp_path / "points.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_rows_become_a_node_per_object(tmp_path):
    text = HEADER + "a,tumour,1,inside,1,2,3\na,cyst,2,Left 1,4,5,6\n\nb,tumour,1,,7,8,9\na,tumour,1,right,-1,0,1e1\n"
    cases = read_point_table(write(tmp_path, text), TWO, np.eye(3))
    assert {case: [node.name for node in nodes] for case, nodes in cases.items()} == {
        "a": ["tumour", "cyst#2"],
        "b": ["tumour"],
    }
    assert cases["a"][0].labels == ("inside", "right")
    assert cases["a"][0].points_mm.tolist() == [[1, 2, 3], [-1, 0, 10]]
    assert cases["b"][0].labels == ("",)


def test_positions_are_brought_to_ras(tmp_path):
    path = write(tmp_path, HEADER + "a,tumour,1,inside,1,2,3\n")
    (node,) = read_point_table(path, TWO, np.diag([-1.0, -1, 1]))["a"]
    assert node.points_mm.tolist() == [[-1, -2, 3]]


def test_with_one_class_its_column_may_be_missing_and_others_do_not_matter(tmp_path):
    text = "\ufeffX, Y ,Z,role,object,case,reader\n1,2,3,inside,2,a,Anna\n"
    (node,) = read_point_table(write(tmp_path, text), ONE, np.eye(3))["a"]
    assert (node.name, node.points_mm.tolist()) == ("tumour#2", [[1, 2, 3]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "case,object,role,x,y,z\n",
            "the column class is missing; expected case,class,object,role,x,y,z.* found case,",
        ),
        ("", "the column case is missing; .* found nothing"),
        (HEADER.replace(",", ";"), "the column case is missing; expected .*separated by commas"),
        (HEADER, "no points, only a header"),
        (HEADER + "a,tumour,1,inside,1,2\n", "line 2: fewer cells than the header"),
        (HEADER + "a,lung,1,inside,1,2,3\n", "line 2: the class is 'lung', expected one of tumour, cyst"),
        (HEADER + "a,,1,inside,1,2,3\n", "line 2: the class is '', expected"),
        (HEADER + "\na,cyst,first,inside,1,2,3\n", "line 3: the object is 'first', expected its number"),
        (HEADER + "a,cyst,0,inside,1,2,3\n", "the object is '0', expected its number"),
        (HEADER + "a,cyst,1,middle,1,2,3\n", "line 2: the role is 'middle', expected inside, left, right"),
        (HEADER + "a,cyst,1,inside,1,two,3\n", "line 2: the position is 1, two, 3, expected three numbers"),
        (HEADER + "a,cyst,1,inside,1,nan,3\n", "the position is 1, nan, 3, expected"),
        (HEADER.encode() + b"\xff\xfe", "it is not text in UTF-8"),
    ],
)
def test_a_wrong_table_is_a_sentence(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"points\.csv.*{message}"):
        read_point_table(write(tmp_path, text), TWO, np.eye(3))


def test_a_missing_table_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"x\.csv: no such file"):
        read_point_table(tmp_path / "x.csv", TWO, np.eye(3))

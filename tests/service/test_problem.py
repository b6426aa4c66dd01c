import msgspec

from foryou.service.problem import Problem, unavailable


def test_a_problem_names_what_field_and_remedy_and_leaves_out_what_it_does_not_know():
    problem = Problem(422, "Refused", "seq is negative", "seq", "send a whole number from 0", reason="bad_value")

    assert msgspec.json.decode(problem.body("r-1")) == {
        "type": "urn:foryou:problem:bad_value",
        "title": "Refused",
        "status": 422,
        "detail": "seq is negative",
        "reason": "bad_value",
        "field": "seq",
        "remedy": "send a whole number from 0",
        "request_id": "r-1",
    }
    assert "field" not in msgspec.json.decode(Problem(404, "Not found", "no").body())


def test_unavailable_says_when_to_come_back():
    problem = unavailable("waiting for kafka", waiting_for=["kafka"])

    assert (problem.status, problem.headers) == (503, (("retry-after", "1"),))
    assert msgspec.json.decode(problem.body())["waiting_for"] == ["kafka"]

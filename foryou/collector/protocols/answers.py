"""Answers that name every event's verdict: of our own doors, and of protocols that leave the answer to the server."""

from typing import Any

from foryou.collector.admission import Limited
from foryou.contract.gate import Accepted, Refused
from foryou.service.problem import Problem, limited
from foryou.service.web import Response, json_response

_NOT_EVEN_JSON = frozenset(("not_json", "too_deep", "double_key"))


def verdict_each(verdicts: list[Accepted | Refused], single: bool) -> Response:
    """202 when all were accepted, 207 when some were. Raises a Problem when none was."""
    accepted = [verdict.event_id for verdict in verdicts if isinstance(verdict, Accepted)]
    if len(accepted) == len(verdicts):
        return json_response(202, {"accepted": len(accepted), "event_ids": accepted})
    if single and isinstance(verdicts[0], Refused):
        raise problem_of(verdicts[0])
    results = [_result(index, verdict) for index, verdict in enumerate(verdicts)]
    if accepted:
        limited_ones = sum(isinstance(verdict, Limited) for verdict in verdicts)
        told = {"accepted": len(accepted), "rejected": len(verdicts) - len(accepted) - limited_ones, "results": results}
        return json_response(207, {**told, "limited": limited_ones} if limited_ones else told)
    refused = [verdict for verdict in verdicts if isinstance(verdict, Refused)]
    waits = [verdict.retry_after_s for verdict in refused if isinstance(verdict, Limited)]
    if waits:  # the others would be refused again: what can pass later decides
        raise limited("this device sends too many events a second", max(waits), accepted=0, results=results)
    status = 400 if all(verdict.reason in _NOT_EVEN_JSON for verdict in refused) else 422
    raise Problem(
        status,
        "No event was accepted",
        f"all {len(verdicts)} events were refused; `results` says why, event by event",
        f"$[0].{refused[0].field}" if refused[0].field not in (None, "$") else "$[0]",
        refused[0].remedy,
        reason=refused[0].reason,
        accepted=0,
        rejected=len(verdicts),
        results=results,
    )


def problem_of(refused: Refused) -> Problem:
    """One refused event as the whole answer."""
    if isinstance(refused, Limited):
        return limited(refused.detail, refused.retry_after_s)
    status = 400 if refused.reason in _NOT_EVEN_JSON else 422
    return Problem(
        status, "The event was refused", refused.detail, refused.field, refused.remedy, reason=refused.reason
    )


def _result(index: int, verdict: Accepted | Refused) -> dict[str, Any]:
    if isinstance(verdict, Accepted):
        return {"index": index, "status": "accepted", "event_id": verdict.event_id}
    return {
        "index": index,
        "status": "limited" if isinstance(verdict, Limited) else "rejected",
        "event_id": verdict.event_id,
        "reason": verdict.reason,
        "field": verdict.field,
        "detail": verdict.detail,
        "remedy": verdict.remedy,
    }

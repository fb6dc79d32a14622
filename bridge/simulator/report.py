"""What a simulation prints: one line for each thing done to a machine, for people or as JSON.

Refuses to know machines: it gets their names and what happened.
"""

import json
from collections.abc import Callable, Sequence

from bridge.core.control_codec import read_control_point
from bridge.core.messages import ResultCode
from bridge.simulator.machine import Incident

_RESULTS: dict[int, str] = {code.value: code.name.lower() for code in ResultCode}


class Reporter:
    """Prints, flushed at once. Times are seconds since ``since_s``."""

    def __init__(
        self, since_s: float, *, json_lines: bool, write: Callable[[str], None] | None = None
    ) -> None:
        self._since_s = since_s
        self._json = json_lines
        self._write = write or _print

    def ready(self, where: str, machines: Sequence[tuple[str, str]]) -> None:
        """The treadmills are about to advertise on ``where``."""
        treadmills = [{"name": name, "address": address} for name, address in machines]
        named = ", ".join(f"{name} ({address})" for name, address in machines)
        self._put({"kind": "ready", "on": where, "treadmills": treadmills}, f"on {where}: {named}")

    def incident(self, name: str, incident: Incident) -> None:
        """A line of a machine's journal."""
        document: dict[str, object] = {
            "at_s": round(incident.at_s - self._since_s, 3),
            "treadmill": name,
            "kind": incident.kind,
        }
        if incident.kind == "write":
            text = self._write_of(incident, document)
        else:
            document["what"] = text = incident.what
        self._put(document, f"{document['at_s']:9.3f}  {name}  {incident.kind}: {text}")

    def _write_of(self, incident: Incident, document: dict[str, object]) -> str:
        fields = read_control_point(incident.payload) if incident.payload else {}
        parameters = {key: value for key, value in fields.items() if key not in ("opcode", "op")}
        outcome: dict[str, object] = {}
        if incident.att_error is not None:
            outcome["att_error"] = incident.att_error
            ending = f"ATT error 0x{incident.att_error:02x}"
        elif (code := incident.result) is None:
            outcome["dropped"] = True
            ending = "dropped"
        else:
            outcome["result_code"] = code
            outcome["result"] = ending = _RESULTS.get(code, f"0x{code:02x}")
        document |= {"hex": incident.payload.hex()} | fields | outcome
        named = " ".join(f"{key}={value}" for key, value in parameters.items())
        return f"{fields.get('op', incident.payload.hex())} {named}".rstrip() + f" -> {ending}"

    def status(self, name: str, now_s: float, answer: dict[str, object]) -> None:
        """How a machine stands."""
        at_s = round(now_s - self._since_s, 3)
        named = " ".join(f"{key}={value}" for key, value in answer.items())
        self._put(
            {"at_s": at_s, "treadmill": name, "kind": "status"} | answer,
            f"{at_s:9.3f}  {name}  {named}",
        )

    def refused(self, line: str, why: str) -> None:
        """An order that means nothing."""
        self._put({"kind": "refused", "order": line, "why": why}, why)

    def _put(self, document: dict[str, object], text: str) -> None:
        self._write(json.dumps(document) if self._json else text)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it is what the command is for

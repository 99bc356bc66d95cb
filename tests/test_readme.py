"""What the README shows must run as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from honorarium.chain import LocalChain
from honorarium.chain.deploy import shown
from honorarium.protocol import Key
from serving import Serving

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ALONE, AT_A_DESK = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
BIN = Path(sys.executable).parent


def ran(code: str, **env: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def promised(code: str) -> str:
    found = re.search(r"print\(.*?\)\s+# (.*)", code)
    assert found is not None
    return found.group(1).strip()


def test_the_session_in_the_readme_runs_and_prints_what_it_says() -> None:
    assert ran(ALONE) == promised(ALONE)


# ---------------------------------------------------------------------- through a desk


def secret(key: Key) -> str:
    return "0x" + key.secret().hex()


def test_ten_lines_run_a_session_through_a_desk(chain: LocalChain, desk: Serving) -> None:
    code = AT_A_DESK.replace("http://127.0.0.1:8470", desk.url)
    assert code != AT_A_DESK
    within = code[code.index("with Desk") :].strip().splitlines()
    assert len([line for line in within if not line.lstrip().startswith("with ")]) <= 10
    advisor, client = chain.accounts["advisor"], chain.accounts["client"]
    said = ran(code, ADVISOR_KEY=secret(advisor), CLIENT_KEY=secret(client))
    assert said == promised(AT_A_DESK)


def test_the_lines_with_curl_run_a_session_too(
    chain: LocalChain, desk: Serving, tmp_path: Path
) -> None:
    block = next(b for b in re.findall(r"```console\n(.*?)```", README, re.DOTALL) if "curl" in b)
    lines = [line.removeprefix("$ ") for line in block.strip().splitlines()]
    lines = [line.replace("http://127.0.0.1:8470", desk.url) for line in lines]
    (agent,) = [line for line in lines if "honorarium agent" in line]
    assert agent.endswith("# leave it running")
    advisor, client, meter = Key.generate(), chain.accounts["client"], Key.generate()
    env = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HONORARIUM_RPC": chain.url,
        "HONORARIUM_STATE": str(tmp_path),
        "HONORARIUM_METER_KEY": secret(meter),
        "ADVISOR_KEY": secret(advisor),
        "CLIENT_KEY": secret(client),
        "ADVISOR": shown(advisor.address),
        "CLIENT": shown(client.address),
        "METER": shown(meter.address),
        "HONORARIUM_DESK": desk.url,
    }
    running = subprocess.Popen(
        ["bash", "-c", "exec env " + agent.partition("#")[0]],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        assert "advisor" in running.stdout.readline()  # it is enrolled
        time.sleep(1)  # and about to sign
        rest = "\n".join(line for line in lines if line != agent)
        found = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", rest],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert found.returncode == 0, found.stdout + found.stderr
    finally:
        running.terminate()
        running.wait(20)
    last = json.loads(found.stdout[found.stdout.rindex("{") :])
    assert last["status"] == "closed"
    assert int(last["earned"]) == 2_500_000 * last["settledUnits"] > 0

"""The build keeps its promises: one set of settings, one bytecode, fresh artifacts, a wheel."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from eth_utils.crypto import keccak

from compiling import COMPILER_FOLDER, ROOT, compile_contracts, compiler_config, shipped_contracts
from honorarium.artifacts import CONTRACTS, ContractName, artifact

Json = dict[str, Any]

CONFIG = compiler_config()
COMPILER = COMPILER_FOLDER / f"solc-v{CONFIG['version']}"


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Runs a command to its end; returns what it printed, fails with what it complained of."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, (
        f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    )
    return done.stdout


# ----------------------------------------------------------------------------------------- settings


def test_every_tool_repeats_the_one_place_for_compiler_settings() -> None:
    settings = CONFIG["settings"]
    profiles = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]
    forge = {**profiles["default"], **profiles["shipped"]}
    brownie = yaml.safe_load((ROOT / "brownie-config.yaml").read_text())["compiler"]
    npm = json.loads((ROOT / "package.json").read_text())["devDependencies"]

    assert npm["solc"] == CONFIG["version"]
    assert forge["solc"] == str(COMPILER.relative_to(ROOT))
    assert brownie["solc"]["version"] == CONFIG["version"]

    assert forge["evm_version"] == brownie["evm_version"] == settings["evmVersion"]
    assert forge["via_ir"] is brownie["solc"]["viaIR"] is settings["viaIR"]
    assert forge["optimizer"] is settings["optimizer"]["enabled"]
    assert forge["optimizer_runs"] == settings["optimizer"]["runs"]
    assert brownie["solc"]["optimizer"] == settings["optimizer"]
    assert forge["remappings"] == brownie["solc"]["remappings"] == settings["remappings"]
    assert forge["bytecode_hash"] == settings["metadata"]["bytecodeHash"]
    assert forge["cbor_metadata"] is settings["metadata"]["appendCBOR"]


def test_the_loader_offers_exactly_the_shipped_contracts() -> None:
    assert set(CONTRACTS) == set(get_args(ContractName)) == set(shipped_contracts())


def test_the_locked_requirements_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for name, declared in (("runtime", project["dependencies"]), ("desk", extras["desk"])):
        listed = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
        assert sorted(declared) == sorted(line for line in listed if line and line[0] != "#")


def test_no_lock_file_names_a_host_to_download_from() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert [name for name, entry in lock["packages"].items() if "resolved" in entry] == []
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        assert re.findall(r"https?://|--index-url|--find-links", path.read_text()) == [], path.name


# ----------------------------------------------------------------------------------------- compiler


def test_the_compiler_states_its_version_as_py_solc_x_expects() -> None:
    assert re.search(
        rf"^Version: {re.escape(CONFIG['version'])}\+", run(COMPILER, "--version"), re.M
    )


def test_the_compiler_passes_more_through_a_slow_pipe_than_a_pipe_holds() -> None:
    functions = "".join(
        f"function f{i}() external pure returns (uint256) {{ return {i}; }}\n" for i in range(200)
    )
    padding = "// " + "x" * 200_000
    source = f"{padding}\npragma solidity ^0.8.24; contract Wide {{ {functions} }}"
    request = {
        "language": "Solidity",
        "sources": {"Wide.sol": {"content": source}},
        "settings": {"outputSelection": {"*": {"*": ["*"], "": ["*"]}}},
    }
    command = f"(sleep 1; cat) | {COMPILER} --standard-json | (sleep 1; cat)"
    done = subprocess.run(
        ["bash", "-c", command],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout) > 1 << 16
    assert json.loads(done.stdout)["contracts"]["Wide.sol"]["Wide"]["evm"]["bytecode"]["object"]


def test_the_compiler_says_which_import_it_did_not_find() -> None:
    request = {
        "language": "Solidity",
        "sources": {"A.sol": {"content": 'import "./absent/B.sol";'}},
        "settings": {},
    }
    done = subprocess.run(
        [COMPILER, "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    [message] = [
        error["message"]
        for error in json.loads(done.stdout)["errors"]
        if error["severity"] == "error"
    ]
    assert "absent/B.sol was not found" in message


def test_the_compiler_refuses_an_option_it_does_not_know() -> None:
    done = subprocess.run([COMPILER, "--gas"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--gas is not supported" in done.stderr


# ----------------------------------------------------------------------------------------- bytecode


@pytest.fixture(scope="session")
def from_solcx() -> dict[str, str]:
    outputs = compile_contracts(shipped_contracts())
    return {name: output["evm"]["bytecode"]["object"] for name, output in outputs.items()}


@pytest.fixture(scope="session")
def from_forge(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    built = tmp_path_factory.mktemp("forge")
    forge = ROOT / "scripts/forge"
    paths = shipped_contracts()
    where = ("--out", built / "out", "--cache-path", built / "cache")
    run(forge, "build", *where, *paths.values(), FOUNDRY_PROFILE="shipped")
    return {
        name: json.loads((built / "out" / Path(path).name / f"{name}.json").read_text())[
            "bytecode"
        ]["object"][2:]
        for name, path in paths.items()
    }


@pytest.fixture(scope="session")
def from_brownie(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    project = tmp_path_factory.mktemp("brownie")
    for name in ("contracts", "node_modules", "scripts", "compiler.json", "brownie.env"):
        (project / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "brownie-config.yaml", project)
    (project / "tests").mkdir()
    run(
        ROOT / ".venv-brownie/bin/brownie",
        "compile",
        cwd=project,
        SOLCX_BINARY_PATH=str(COMPILER_FOLDER),
    )
    return {
        name: json.loads((project / "build/contracts" / f"{name}.json").read_text())["bytecode"]
        for name in shipped_contracts()
    }


@pytest.mark.parametrize("name", shipped_contracts())
def test_py_solc_x_forge_and_brownie_produce_the_same_bytecode(
    name: str, from_solcx: dict[str, str], from_forge: dict[str, str], from_brownie: dict[str, str]
) -> None:
    assert from_forge[name] == from_solcx[name], "forge differs from py-solc-x"
    assert from_brownie[name] == from_solcx[name], "Brownie differs from py-solc-x"


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_committed_artifact_is_what_the_sources_compile_to(
    name: ContractName, from_solcx: dict[str, str]
) -> None:
    assert artifact(name).bytecode.hex() == from_solcx[name]


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_committed_artifact_names_the_sources_as_they_are(name: ContractName) -> None:
    sources = artifact(name).sources
    assert shipped_contracts()[name] in sources
    for path, digest in sources.items():
        assert hashlib.sha256((ROOT / path).read_bytes()).hexdigest() == digest, path


def test_a_changed_source_makes_the_check_fail_until_the_artifact_is_built_again(
    tmp_path: Path,
) -> None:
    """In a copy of the repository that ships TestUSD alone."""
    for folder in ("contracts", "scripts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    shipped = {"TestUSD": shipped_contracts()["TestUSD"]}
    (tmp_path / "compiler.json").write_text(json.dumps({**CONFIG, "shipped": shipped}))
    artifacts = tmp_path / "src/honorarium/artifacts"
    artifacts.mkdir(parents=True)
    shutil.copy(ROOT / "src/honorarium/artifacts/TestUSD.json", artifacts)
    generator = (sys.executable, tmp_path / "scripts/build_artifacts.py")
    run(*generator, "--check", cwd=tmp_path)

    source = tmp_path / shipped["TestUSD"]
    source.write_text(source.read_text() + "\n// one more line\n")
    done = subprocess.run([*generator, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "TestUSD.json does not match its sources; run `make build`" in done.stderr

    run(*generator, cwd=tmp_path)
    run(*generator, "--check", cwd=tmp_path)


# ---------------------------------------------------------------------------------------- artifacts


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_artifact_fits_what_a_chain_accepts(name: ContractName) -> None:
    """EIP-170 and EIP-3860, in bytes."""
    assert 0 < len(artifact(name).deployed_bytecode) <= 24_576
    assert 0 < len(artifact(name).bytecode) <= 49_152


def test_the_code_hash_ignores_immutables_and_nothing_else() -> None:
    token = artifact("TestUSD")
    assert token.immutables, "the domain separator of EIP-712 is cached in immutables"
    assert token.code_hash == keccak(token.deployed_bytecode)

    on_chain = bytearray(token.deployed_bytecode)
    for start, length in token.immutables:
        on_chain[start : start + length] = b"\x07" * length
    assert token.hash_of_code(bytes(on_chain)) == token.code_hash

    on_chain[0] ^= 1
    assert token.hash_of_code(bytes(on_chain)) != token.code_hash
    assert token.hash_of_code(token.deployed_bytecode + b"\x00") != token.code_hash
    assert token.hash_of_code(b"") != token.code_hash


def test_an_unknown_artifact_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"Treasury is not a shipped contract; these are: .*TestUSD"
    ):
        artifact("Treasury")  # type: ignore[arg-type]  # what is tested


def test_the_wheel_is_typed_and_carries_abi_and_bytecode(tmp_path: Path) -> None:
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--wheel-dir", tmp_path, ROOT,
    )  # fmt: skip
    [wheel] = tmp_path.glob("honorarium-*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    assert (unpacked / "honorarium" / "py.typed").is_file()
    program = (
        "from honorarium import artifacts\n"
        "for name in artifacts.CONTRACTS: print(name, artifacts.artifact(name).code_hash.hex())\n"
        "print(artifacts.__file__)"
    )
    # No path to Node: whoever installs the wheel needs neither it nor a compiler.
    *lines, origin = run(
        sys.executable, "-c", program, cwd=tmp_path, PYTHONPATH=str(unpacked), PATH="/nowhere"
    ).splitlines()
    assert Path(origin).is_relative_to(unpacked)
    assert lines == [f"{name} {artifact(name).code_hash.hex()}" for name in CONTRACTS]

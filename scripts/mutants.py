"""Makes mutants of Solidity sources: copies with one small fault each, for scripts/mutate.py.

A mutant replaces some bytes of one file. What can be replaced is found in the compiler's own syntax
tree, so Solidity and inline assembly are mutated alike and comments never are. The same source
gives the same mutants in the same order. Where few replacements are known to be as strong as all of
them, only those are made (comparisons: Kaminski, Ammann and Offutt, "Better predicate testing").
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, Final

Node = dict[str, Any]

OPERATORS: Final = {
    "AOR": "arithmetic: another operator, or one operand alone",
    "ASR": "two neighbouring arguments of one type change places",
    "AVR": "an argument or first value becomes the zero of its type",
    "BOR": "bits: another operator, or one operand alone",
    "COR": "a condition always or never holds",
    "CR": "a constant is one more, one less, empty, or negated",
    "EVR": "the sender of the transaction in place of the caller",
    "LOR": "logic: one operand alone, equality, or a fixed answer",
    "MOR": "a modifier is left out",
    "ROR": "a comparison next to the right one, or a fixed answer",
    "RVR": "the zero of its type is returned",
    "SDR": "a statement is left out",
    "UCR": "unchecked arithmetic is checked",
    "UOR": "a unary operator is left out or turned round",
    "VIR": "an internal function can be called from outside",
}

SKIPPED_PARTS: Final = {"documentation", "typeName", "overrides", "parameters", "returnParameters"}
ORDERED: Final = re.compile(r"t_(u?int\d+|rational_.*)$")
COMPARISONS: Final = {
    "<": ("<=", "!=", "false"),
    "<=": ("<", "==", "true"),
    ">": (">=", "!=", "false"),
    ">=": (">", "==", "true"),
    "==": ("<=", ">=", "false"),
    "!=": ("<", ">", "true"),
}
ARITHMETIC: Final = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "**": "*"}
BITS: Final = {"&": "|", "|": "&", "^": "&", "<<": ">>", ">>": "<<"}
COMPOUND: Final = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=", "&=": "|="}
UNARY: Final = {"!": "", "~": "", "-": "", "++": "--", "--": "++"}

# Inline assembly: what a builtin is replaced by, which of its arguments may stand alone.
YUL_OTHERS: Final = {
    "add": ("AOR", ("sub",), (0, 1)),
    "sub": ("AOR", ("add",), (0,)),
    "mul": ("AOR", ("div",), (0, 1)),
    "div": ("AOR", ("mul",), (0,)),
    "and": ("BOR", ("or",), (0, 1)),
    "or": ("BOR", ("and",), (0, 1)),
    "xor": ("BOR", ("and",), (0, 1)),
    "shl": ("BOR", ("shr",), (1,)),
    "shr": ("BOR", ("shl",), (1,)),
    "lt": ("ROR", ("gt", "eq"), ()),
    "gt": ("ROR", ("lt", "eq"), ()),
    "eq": ("ROR", ("lt", "gt"), ()),
    "iszero": ("UOR", (), (0,)),
    "not": ("UOR", (), (0,)),
}
YUL_COMMUTATIVE: Final = {"add", "mul", "and", "or", "xor", "eq"}
YUL_EFFECTS: Final = {"mstore", "mstore8", "sstore", "call", "staticcall", "revert", "keccak256"}


@dataclass(frozen=True)
class Mutant:
    """One replacement in one file. `start` and `end` count bytes, `line` from 1."""

    id: str
    file: str
    function: str
    operator: str
    line: int
    start: int
    end: int
    original: str
    replacement: str

    def applied_to(self, source: str) -> str:
        """The whole file with the fault in it."""
        text = source.encode()
        return (text[: self.start] + self.replacement.encode() + text[self.end :]).decode()


def generate(file: str, source: str, tree: Node) -> list[Mutant]:
    """All mutants of one file, in the order of its text.

    Args:
        file: path of the source; its stem begins the ids.
        source: text of the file.
        tree: the compiler's `ast` of exactly this text, with types.

    Ids hold the function's name, the operator and a hash of the line and the change, but no line
    number: they stay the same when lines move, and change when the line itself does.
    """
    text = source.encode()
    found: dict[tuple[int, int, str], tuple[str, str]] = {}
    for function, code, start, end, replacement in _Finder(text).everything(tree):
        if text[start:end].decode() != replacement:
            found.setdefault((start, end, replacement), (function, code))
    seen: Counter[str] = Counter()
    mutants = []
    for (start, end, replacement), (function, code) in sorted(found.items()):
        line_start = text.rfind(b"\n", 0, start) + 1
        line_end = text.find(b"\n", end)
        around = text[line_start : line_end if line_end >= 0 else len(text)].decode()
        column = len(text[line_start:start].decode().lstrip())
        key = "\0".join([function, code, " ".join(around.split()), str(column), replacement])
        seen[key] += 1
        digest = hashlib.sha256(f"{key}\0{seen[key]}".encode()).hexdigest()[:8]
        mutants.append(
            Mutant(
                id=f"{PurePosixPath(file).stem}.{function or '_'}.{code}.{digest}",
                file=file,
                function=function,
                operator=code,
                line=text.count(b"\n", 0, start) + 1,
                start=start,
                end=end,
                original=text[start:end].decode(),
                replacement=replacement,
            )
        )
    return mutants


Found = tuple[str, int, int, str]


class _Finder:
    """Walks a tree once; the method named like a node's type yields what can be changed there."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def everything(self, tree: Node) -> Iterator[tuple[str, str, int, int, str]]:
        for contract in tree["nodes"]:
            if (
                contract["nodeType"] != "ContractDefinition"
                or contract["contractKind"] == "interface"
            ):
                continue
            for part in contract["nodes"]:
                name = ""
                if part["nodeType"] in ("FunctionDefinition", "ModifierDefinition"):
                    name = part["name"] or part["kind"]
                    if contract["contractKind"] == "contract":
                        for found in self._header(part):
                            yield (name, *found)
                for found in self._walk(part, []):
                    yield (name, *found)

    def _walk(self, node: Any, parents: list[Node]) -> Iterator[Found]:
        if isinstance(node, list):
            for each in node:
                yield from self._walk(each, parents)
        elif isinstance(node, dict) and "nodeType" in node:
            method = getattr(self, f"_{node['nodeType']}", None)
            if method is not None:
                yield from method(node, parents)
            for key, child in node.items():
                if key not in SKIPPED_PARTS:
                    yield from self._walk(child, [*parents, node])

    # ------------------------------------------------------------------ the text of nodes

    def _span(self, node: Node) -> tuple[int, int]:
        start, length, _ = map(int, node["src"].split(":"))
        return start, start + length

    def _of(self, node: Node) -> str:
        start, end = self._span(node)
        return self.text[start:end].decode()

    def _operand(self, node: Node) -> str:
        compound = node["nodeType"] in ("BinaryOperation", "Conditional", "Assignment")
        return f"({self._of(node)})" if compound else self._of(node)

    def _replace(self, code: str, node: Node, *replacements: str) -> Iterator[Found]:
        for replacement in replacements:
            yield (code, *self._span(node), replacement)

    # ------------------------------------------------------------------ declarations

    def _header(self, part: Node) -> Iterator[Found]:
        for modifier in part.get("modifiers", []):
            if modifier["kind"] == "modifierInvocation":
                yield from self._replace("MOR", modifier, "")
        if part.get("kind") == "function" and part["visibility"] in ("private", "internal"):
            start = self._span(part["parameters"])[1]
            word = re.compile(rb"\b(private|internal)\b").search(self.text, start)
            if word is not None:
                yield "VIR", word.start(), word.end(), "public"

    def _VariableDeclaration(self, node: Node, _: list[Node]) -> Iterator[Found]:
        if node.get("stateVariable") and not node["constant"] and node.get("value"):
            yield from self._zeroed(node["value"], node)

    def _VariableDeclarationStatement(self, node: Node, _: list[Node]) -> Iterator[Found]:
        if len(node["declarations"]) == 1 and node.get("initialValue"):
            yield from self._zeroed(node["initialValue"], node["declarations"][0])

    def _zeroed(self, value: Node, declared: Node) -> Iterator[Found]:
        if value["nodeType"] != "Literal":
            yield from self._replace("AVR", value, *_zeros(declared))

    # ------------------------------------------------------------------ statements

    def _ExpressionStatement(self, node: Node, parents: list[Node]) -> Iterator[Found]:
        in_for_header = (
            parents[-1]["nodeType"] == "ForStatement" and node is not parents[-1]["body"]
        )
        if not in_for_header:
            yield from self._left_out(node, parents)

    def _EmitStatement(self, node: Node, parents: list[Node]) -> Iterator[Found]:
        yield from self._left_out(node, parents)

    def _RevertStatement(self, node: Node, parents: list[Node]) -> Iterator[Found]:
        yield from self._left_out(node, parents)

    def _left_out(self, node: Node, parents: list[Node]) -> Iterator[Found]:
        """Without the statement.

        Unless it is all that an `if` does: then the condition's mutants leave it out.
        """
        above = parents[-1]
        if above["nodeType"] == "Block" and len(above["statements"]) == 1 and len(parents) > 1:
            node_above, above = above, parents[-2]
        else:
            node_above = node
        if (
            above["nodeType"] == "IfStatement"
            and not above.get("falseBody")
            and node_above is above["trueBody"]
        ):
            return
        start, end = self._span(node)
        yield "SDR", start, self.text.index(b";", end - 1) + 1, "{}"

    def _Return(self, node: Node, parents: list[Node]) -> Iterator[Found]:
        value = node.get("expression")
        if value is None:
            yield from self._left_out(node, parents)
            return
        parts = [value]
        if value["nodeType"] == "TupleExpression" and len(value["components"]) > 1:
            parts = value["components"]
        for part in parts:
            if part["nodeType"] != "Literal":
                yield from self._replace("RVR", part, *_zeros(part))

    def _UncheckedBlock(self, node: Node, _: list[Node]) -> Iterator[Found]:
        start, _end = self._span(node)
        yield "UCR", start, start + len("unchecked"), ""

    def _IfStatement(self, node: Node, _: list[Node]) -> Iterator[Found]:
        yield from self._forced(node["condition"])

    def _Conditional(self, node: Node, _: list[Node]) -> Iterator[Found]:
        yield from self._forced(node["condition"])

    def _forced(self, condition: Node) -> Iterator[Found]:
        """Operators have stronger mutants of their own; anything else becomes true, and false."""
        if condition["nodeType"] != "BinaryOperation":
            yield from self._replace("COR", condition, "true", "false")

    # ------------------------------------------------------------------ expressions

    def _BinaryOperation(self, node: Node, parents: list[Node]) -> Iterator[Found]:
        operator = node["operator"]
        left, right = self._operand(node["leftExpression"]), self._operand(node["rightExpression"])

        def with_operators(others: tuple[str, ...]) -> list[str]:
            return [o if o in ("true", "false") else f"({left} {o} {right})" for o in others]

        if operator in COMPARISONS:
            others: tuple[str, ...] = COMPARISONS[operator]
            if _has_two_cases(node):
                others = ("true", "false")
            if _is_logical(parents):  # fixing one side is what the operator's own mutants do
                others = tuple(o for o in others if o not in ("true", "false"))
            yield from self._replace("ROR", node, *with_operators(others))
        elif operator in ("&&", "||"):
            # Not `!=` for `||`: it differs only where both sides hold, and alternatives seldom do.
            others = ("==", "false") if operator == "&&" else ("true",)
            yield from self._replace("LOR", node, left, right, *with_operators(others))
        elif operator in ARITHMETIC:
            yield from self._replace("AOR", node, *with_operators((ARITHMETIC[operator],)))
            yield from self._replace("AOR", node, left, *([right] if operator in "+*-" else []))
        elif operator in BITS:
            yield from self._replace("BOR", node, *with_operators((BITS[operator],)))
            yield from self._replace("BOR", node, left, *([right] if operator in "&|^" else []))

    def _UnaryOperation(self, node: Node, parents: list[Node]) -> Iterator[Found]:
        if node["operator"] == "!" and parents[-1]["nodeType"] in ("IfStatement", "Conditional"):
            return  # forced both ways already
        if node["operator"] in UNARY:
            operand, other = self._of(node["subExpression"]), UNARY[node["operator"]]
            yield from self._replace(
                "UOR", node, f"{other}{operand}" if node["prefix"] else f"{operand}{other}"
            )

    def _Assignment(self, node: Node, _: list[Node]) -> Iterator[Found]:
        if node["operator"] in COMPOUND:
            left, right = self._of(node["leftHandSide"]), self._of(node["rightHandSide"])
            code = "BOR" if node["operator"] in ("&=", "|=") else "AOR"
            for operator in (COMPOUND[node["operator"]], "="):
                yield from self._replace(code, node, f"{left} {operator} {right}")

    def _FunctionCall(self, node: Node, _: list[Node]) -> Iterator[Found]:
        if node["kind"] == "typeConversion":
            return
        arguments = node["arguments"]
        if node["expression"].get("memberName") == "encodeCall":
            arguments = [arguments[0], *arguments[1].get("components", [arguments[1]])]
        for argument in arguments:
            if argument["nodeType"] != "Literal":
                yield from self._replace("AVR", argument, *_zeros(argument))
        for first, second in pairwise(arguments):
            if _type(first) == _type(second) and self._of(first) != self._of(second):
                yield from self._swapped(first, second)

    def _swapped(self, first: Node, second: Node) -> Iterator[Found]:
        between = self.text[self._span(first)[1] : self._span(second)[0]].decode()
        replacement = f"{self._of(second)}{between}{self._of(first)}"
        yield "ASR", self._span(first)[0], self._span(second)[1], replacement

    def _MemberAccess(self, node: Node, _: list[Node]) -> Iterator[Found]:
        whole = self._of(node)
        if whole == "msg.sender":
            yield from self._replace("EVR", node, "tx.origin")
        elif whole.startswith("type(") and node["memberName"] == "max":
            yield from self._replace("CR", node, f"({whole} - 1)", whole[:-3] + "min")

    def _Literal(self, node: Node, parents: list[Node]) -> Iterator[Found]:
        kind, whole = node["kind"], self._of(node)
        if kind == "bool":
            yield from self._replace("CR", node, "false" if whole == "true" else "true")
        elif kind == "hexString":
            yield from self._replace("CR", node, _flipped(node["hexValue"]))
        elif kind == "string":
            yield from self._replace("CR", node, '""' if node["hexValue"] else '"?"')
        elif node.get("subdenomination"):
            yield from self._replace("CR", node, f"({whole} + 1)", f"({whole} - 1)")
        elif kind == "number" and re.fullmatch(r"0x[0-9a-fA-F]+|[0-9_]+", whole):
            more, *less = _neighbours(whole)
            if _type(parents[-1]).startswith("t_bytes") and more == "1":
                more = "uint256(1)"  # bytes32(1) is no Solidity
            yield from self._replace("CR", node, more, *less)

    # ------------------------------------------------------------------ inline assembly

    def _YulFunctionCall(self, node: Node, _: list[Node]) -> Iterator[Found]:
        name, arguments = node["functionName"]["name"], node["arguments"]
        texts = [self._of(each) for each in arguments]
        if name in YUL_OTHERS:
            code, others, alone = YUL_OTHERS[name]
            for other in others:
                yield from self._replace(code, node, f"{other}({', '.join(texts)})")
            yield from self._replace(code, node, *(texts[i] for i in alone))
        if name in YUL_EFFECTS:
            for argument in arguments:
                if argument["nodeType"] != "YulLiteral":
                    yield from self._replace("AVR", argument, "0")
        if name not in YUL_COMMUTATIVE:
            for first, second in pairwise(arguments):
                yield from self._swapped(first, second)

    def _YulLiteral(self, node: Node, _: list[Node]) -> Iterator[Found]:
        if node["kind"] == "number":
            yield from self._replace("CR", node, *_neighbours(self._of(node)))
        elif node["kind"] == "string" and self._of(node).startswith("hex"):
            yield from self._replace("CR", node, _flipped(node["hexValue"]))

    def _YulExpressionStatement(self, node: Node, _: list[Node]) -> Iterator[Found]:
        yield from self._replace("SDR", node, "{}")

    def _YulAssignment(self, node: Node, _: list[Node]) -> Iterator[Found]:
        yield from self._replace("SDR", node, "{}")

    def _YulVariableDeclaration(self, node: Node, _: list[Node]) -> Iterator[Found]:
        value = node.get("value")
        if value is not None and value["nodeType"] != "YulLiteral":
            yield from self._replace("AVR", value, "0")

    def _YulIf(self, node: Node, _: list[Node]) -> Iterator[Found]:
        yield from self._replace("COR", node["condition"], "0", "1")


def _type(node: Node) -> str:
    return str(node.get("typeDescriptions", {}).get("typeIdentifier", ""))


def _zeros(node: Node) -> tuple[str, ...]:
    """What a variable of the expression's type holds at first, if there is a short name for it."""
    identifier = _type(node)
    if identifier == "t_bool":
        return ("false", "true")
    if re.fullmatch(r"t_u?int\d+", identifier):
        return ("0",)
    if identifier in ("t_address", "t_address_payable"):
        return ("address(0)",)
    if fixed := re.fullmatch(r"t_(bytes\d+)", identifier):
        return (f"{fixed[1]}(0)",)
    if identifier == "t_bytes_memory_ptr":
        return ('bytes("")',)
    if identifier == "t_bytes_calldata_ptr":
        return ("msg.data[:0]",)
    if named := re.fullmatch(r"t_userDefinedValueType\$_(\w+?)_\$\d+", identifier):
        return (f"{named[1]}.wrap(0)",)
    return ()


def _has_two_cases(comparison: Node) -> bool:
    """Values without order are equal or not; and nothing is below zero."""
    if comparison["operator"] in ("==", "!=") and not ORDERED.match(
        _type(comparison["leftExpression"])
    ):
        return True
    zero = comparison["rightExpression"]
    return (
        zero["nodeType"] == "Literal" and zero["kind"] == "number" and zero["value"] in ("0", "0x0")
    )


def _is_logical(parents: list[Node]) -> bool:
    inner = [each for each in parents if each["nodeType"] != "TupleExpression"]
    return inner[-1].get("operator") in ("&&", "||")


def _neighbours(literal: str) -> list[str]:
    """One more, and one less if that is not below zero; hexadecimal digits keep their number."""
    number = int(literal.replace("_", ""), 0)
    near = [number + 1, number - 1] if number else [1]
    if literal.startswith("0x"):
        return [f"0x{each:0{len(literal) - 2}x}" for each in near]
    return [str(each) for each in near]


def _flipped(hex_digits: str) -> str:
    last = int(hex_digits[-2:], 16) ^ 1
    return f'hex"{hex_digits[:-2]}{last:02x}"'

"""The part of CEL, the language of admission policies, that guard.yml is written in.

No package of Debian's evaluates CEL. This does: what is absent is an error and no null; `&&`, `||`
and all() take an error for what the other side makes of it; kinds are not converted. test_guard.py
holds it to an implementation of npm's, where one is there. See github.com/google/cel-spec.
"""
import re

TOKENS = re.compile(r"""\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<int>\d+)
                    |(?P<name>[A-Za-z_]\w*)|(?P<op>\|\||&&|[=!<>]=|[-+!<>?:.,()\[\]{}]))""", re.X)
LEVELS = [["||"], ["&&"], ["==", "!=", "<", ">", "<=", ">=", "in"], ["+", "-"]]


class CelError(Exception):
    pass


def tokens(text):
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = TOKENS.match(text, at)
        if not match:
            raise CelError(f"cannot be read: {text[at:at + 20]}")
        at = match.end()
        found.append((match.lastgroup, match[match.lastgroup]))
    return found + [("end", "")]


class Parser:
    """Text into functions of the variables."""

    def __init__(self, text):
        self.tokens = tokens(text)

    def peek(self, *words):
        return self.tokens[0][0] in ("op", "name") and self.tokens[0][1] in words

    def take(self, word=None):
        kind, value = self.tokens.pop(0)
        if word is not None and value != word:
            raise CelError(f"{word} is missing before {value}")
        return kind, value

    def parse(self):
        tree = self.ternary()
        self.take("")
        return tree

    def ternary(self):
        test = self.binary(0)
        if not self.peek("?"):
            return test
        self.take()
        yes = self.ternary()
        self.take(":")
        no = self.ternary()
        return lambda env: yes(env) if boolean(test(env)) else no(env)

    def binary(self, level):
        if level == len(LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek(*LEVELS[level]):
            op = self.take()[1]
            left = operation(op, left, self.binary(level + 1))
        return left

    def unary(self):
        if self.peek("!"):
            self.take()
            inner = self.unary()
            return lambda env: not boolean(inner(env))
        return self.member(self.primary())

    def primary(self):
        kind, value = self.take()
        if kind == "string":
            text = re.sub(r"\\(.)", r"\1", value[1:-1])
            return lambda env: text
        if kind == "int":
            return lambda env: int(value)
        if value == "(":
            inner = self.ternary()
            self.take(")")
            return inner
        if value == "[":
            items = self.arguments("]")
            return lambda env: [item(env) for item in items]
        if value == "{":
            self.take("}")
            return lambda env: {}
        if kind != "name":
            raise CelError(f"unexpected {value}")
        if value in ("true", "false", "null"):
            return lambda env: {"true": True, "false": False, "null": None}[value]
        if self.peek("("):
            return self.function(value)
        return lambda env: select(env, value)

    def arguments(self, end):
        items = []
        while not self.peek(end):
            items.append(self.ternary())
            if not self.peek(end):
                self.take(",")
        self.take(end)
        return items

    def function(self, name):
        self.take("(")
        if name == "has":
            *path, last = self.path()
            self.take(")")
            return lambda env: last in mapping(walk(env, path))
        (argument,) = self.arguments(")")
        if name != "size":
            raise CelError(f"no function {name}")
        return lambda env: len(argument(env))

    def path(self):
        names = [self.take()[1]]
        while self.peek("."):
            self.take()
            names.append(self.take()[1])
        return names

    def member(self, tree):
        while self.peek(".", "["):
            if self.take()[1] == "[":
                tree = index(tree, self.ternary())
                self.take("]")
                continue
            name = self.take()[1]
            if not self.peek("("):
                tree = selection(tree, name)
            elif name == "all":
                self.take()
                var = self.take()[1]
                self.take(",")
                tree = all_of(tree, var, self.ternary())
                self.take(")")
            else:
                self.take()
                tree = method(tree, name, self.arguments(")"))
        return tree


def boolean(value):
    if not isinstance(value, bool):
        raise CelError(f"not a bool: {value!r}")
    return value


def mapping(value):
    if not isinstance(value, dict):
        raise CelError(f"no such key: not a map: {value!r}")
    return value


def select(value, name):
    if name not in mapping(value):
        raise CelError(f"no such key: {name}")
    return value[name]


def walk(env, path):
    for name in path:
        env = select(env, name)
    return env


def selection(tree, name):
    return lambda env: select(tree(env), name)


def index(tree, at):
    def run(env):
        value, where = tree(env), at(env)
        if isinstance(value, dict):
            return select(value, where)
        if not isinstance(value, list) or not 0 <= where < len(value):
            raise CelError(f"no such item: {where!r}")
        return value[where]
    return run


def either(name, decides, thunks):
    """`||`, `&&`, all(): one side that decides makes up for another's error."""
    error = None
    for thunk in thunks:
        try:
            if boolean(thunk()) is decides:
                return decides
        except CelError as e:
            error = error or e
    if error:
        raise error
    return not decides


def all_of(tree, var, body):
    return lambda env: either("all", False, [lambda i=item: body({**env, var: i})
                                             for item in tree(env)])


def operation(op, left, right):
    if op in ("||", "&&"):
        return lambda env: either(op, op == "||", [lambda: left(env), lambda: right(env)])
    if op == "in":
        return lambda env: left(env) in right(env)

    def run(env):
        a, b = left(env), right(env)
        if op in ("==", "!="):
            return (type(a) is type(b) and a == b) is (op == "==")
        if type(a) is not type(b) or isinstance(a, dict):
            raise CelError(f"no such overload: {a!r} {op} {b!r}")
        return {"+": lambda: a + b, "-": lambda: a - b, "<": lambda: a < b, ">": lambda: a > b,
                "<=": lambda: a <= b, ">=": lambda: a >= b}[op]()
    return run


def method(tree, name, arguments):
    def substring(s, start, end):
        if not 0 <= start <= end <= len(s):
            raise CelError("substring: out of range")
        return s[start:end]
    methods = {"startsWith": str.startswith, "endsWith": str.endswith, "substring": substring,
               "matches": lambda s, pattern: re.search(pattern.replace("$", r"\Z"), s) is not None}
    if name not in methods:
        raise CelError(f"no method {name}")

    def run(env):
        value = tree(env)
        if not isinstance(value, str):
            raise CelError(f"no such overload: {value!r}.{name}")
        return methods[name](value, *(a(env) for a in arguments))
    return run


def evaluate(text, env):
    return Parser(text).parse()(env)

"""Who is asking, and what they may do. Rules are (group, resource, verb[, names])."""
import base64
import json
import secrets

ANONYMOUS = "system:anonymous"
ANY = "*"


def service_account(namespace, name):
    return f"system:serviceaccount:{namespace}:{name}"


# What the program's own Role grants.
CLEANUP_RULES = (
    ("batch", "jobs", "get"), ("batch", "jobs", "list"), ("batch", "jobs", "watch"),
    ("batch", "jobs", "delete"),
    ("", "services", "get"), ("", "services", "delete"), ("", "services", "patch"),
    ("", "pods", "list"), ("", "pods", "delete"),
    ("metrics.k8s.io", "pods", "list"), ("metrics.k8s.io", "pods", "get"),
    ("", "events", "create"),
)


class Rbac:
    def __init__(self):
        self.tokens = {}        # bearer token -> user
        self.rules = {}         # user -> {(group, resource, verb): set of names, or None for all}
        self.role_names = {}    # user -> the role that a review names

    def new_token(self, user, claims=None):
        """As long as a real projected token, so that buffers are tried; with these claims."""
        payload = (secrets.token_urlsafe(600) if claims is None else
                   base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("="))
        token = ".".join((secrets.token_urlsafe(60), payload, secrets.token_urlsafe(256)))
        self.tokens[token] = user
        return token

    def revoke(self, token):
        self.tokens.pop(token, None)

    def set_rules(self, user, rules):
        self.rules[user] = {}
        for rule in rules:
            self.allow(user, *rule)

    def allow(self, user, group, resource, verb, names=None):
        self.rules.setdefault(user, {})[group, resource, verb] = (
            None if names is None else set(names))

    def deny(self, user, group=None, resource=None, verb=None):
        """Takes away the rules that match; what is None matches all."""
        for rule in list(self.rules.get(user, {})):
            if all(w is None or w == r for w, r in zip((group, resource, verb), rule)):
                del self.rules[user][rule]

    def user_of(self, headers):
        """The user; ANONYMOUS without a token or with an empty one; None for a bad one."""
        value = headers.get("authorization", "")
        kind, _, token = value.partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            return ANONYMOUS
        return self.tokens.get(token.strip())

    def allowed(self, user, group, resource, verb, name=""):
        rules = self.rules.get(user, {})
        for key in ((group, resource, verb), (group, resource, ANY), (group, ANY, ANY),
                    (ANY, ANY, ANY)):
            if key in rules and (rules[key] is None or name in rules[key]):
                return True
        return False

"""How people get in, where nobody has a choice; what operators may set is in settings."""

from typing import Any

_CODES = "bots.forms.codes"
_VALIDATION = "django.contrib.auth.password_validation"
PASSWORDS: dict[str, Any] = {
    "PASSWORD_HASHERS": [
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ],
    "AUTH_PASSWORD_VALIDATORS": [
        {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
        {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
        {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
        {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
    ],
}
#: django-allauth's own settings.
ALLAUTH: dict[str, Any] = {
    "ACCOUNT_LOGIN_METHODS": {"username"},
    "ACCOUNT_ADAPTER": "botsite.signup.Adapter",
    "ACCOUNT_SIGNUP_FIELDS": ["username*", "email", "password1*", "password2*"],
    "ACCOUNT_EMAIL_VERIFICATION": "none",
    "ACCOUNT_CHANGE_EMAIL": True,
    "ACCOUNT_SESSION_REMEMBER": True,
    # bots.passwords ends the other sessions; this one goes on.
    "ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE": False,
    # Its pages for the second factor, and for the e-mail address, ask again who is there.
    "ACCOUNT_REAUTHENTICATION_REQUIRED": True,
    "MFA_ADAPTER": "bots.second_factor.Adapter",
    "MFA_SUPPORTED_TYPES": ["totp", "recovery_codes"],
    "MFA_TOTP_ISSUER": "Botsite",
    # The code before and the one after: clocks differ, and people type slowly.
    "MFA_TOTP_TOLERANCE": 1,
    # People sign in by name: an address that is not theirs takes nobody's account away.
    "MFA_ALLOW_UNVERIFIED_EMAIL": True,
    "MFA_FORMS": {
        "authenticate": f"{_CODES}.SignInForm",
        "reauthenticate": f"{_CODES}.AgainForm",
        "activate_totp": f"{_CODES}.SwitchOnForm",
    },
}
#: django-axes counts failures of a name at an address.
AXES: dict[str, Any] = {
    "AXES_LOCKOUT_PARAMETERS": [["username", "ip_address"]],
    "AXES_RESET_ON_SUCCESS": True,
    "AXES_DISABLE_ACCESS_LOG": True,
    "AXES_CLIENT_IP_CALLABLE": "botsite.network.client_ip",
    "AXES_USERNAME_CALLABLE": "botsite.network.account_name",
    "AXES_ALLOWED_CORS_ORIGINS": "",
    "AXES_VERBOSE": False,
}

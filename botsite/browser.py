"""What the pages may do in a browser: all from this site, and in nobody's frame."""

from csp.constants import NONE, SELF

#: The Content-Security-Policy that goes with every page.
DIRECTIVES = {
    "default-src": [SELF],
    # The style sheet's own icons are data: images; a picture cannot act.
    "img-src": [SELF, "data:"],
    "base-uri": [NONE],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "object-src": [NONE],
}

"""axe-core, the rules of accessibility, in the browser that a test drives.

`audit` runs them on what a page shows at the moment, and looks besides at what they leave out:
pages wider than the screen, and targets too small for a thumb.
"""

from pathlib import Path

from playwright.sync_api import Page

from tests import npm

HERE = Path(__file__).parent
#: A thumb's target on a telephone, in CSS pixels. Elsewhere axe asks for 24 (WCAG 2.2, 2.5.8).
THUMB = 44
PHONE = 640
#: The rules that look at colours: all that another light can break, as the document is the same.
COLOURS = ["color-contrast", "link-in-text-block"]

AUDIT = """
async ({root, thumb, phone, colours}) => {
  const context = root ? document.querySelector(root) : document;
  const options = {resultTypes: ["violations"], iframes: false, preload: false, elementRef: false};
  if (colours) options.runOnly = colours;
  else options.rules = {"target-size": {enabled: true}};
  const told = await axe.run(context, options);
  const found = told.violations.flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.target.join(" ")} - ${node.failureSummary.replace(/\\s+/g, " ")}`));
  if (colours) return found;
  const beyond = document.documentElement.scrollWidth - innerWidth;
  if (beyond > 0) found.push(`wider than the screen by ${beyond} px`);
  if (innerWidth <= phone) {
    const targets = "button, [role=button], nav a, select, "
      + "input:not([type=hidden], [type=checkbox], [type=radio])";
    for (const target of (root ? context : document).querySelectorAll(targets)) {
      const box = target.getBoundingClientRect();
      if (box.width && box.height < thumb - 0.5 && getComputedStyle(target).clipPath === "none")
        found.push(`${Math.round(box.height)} px high, less than a thumb: `
          + target.outerHTML.slice(0, 160));
    }
  }
  return found;
}
"""


def install() -> Path:
    """Return the path of axe's script, fetched by npm as package-lock.json pins it."""
    return npm.fetch(HERE, "axe") / "node_modules/axe-core/axe.min.js"


def audit(page: Page, root: str = "", *, only_colours: bool = False) -> list[str]:
    """Return what is wrong with what the page shows now, or with its part `root` (a selector).

    `only_colours` leaves out what was found out in another light of the same page.
    The page's context must have been given axe (`context.add_init_script(path=install())`).
    """
    asked = {"root": root, "thumb": THUMB, "phone": PHONE}
    colours = COLOURS if only_colours else None
    found: list[str] = page.evaluate(AUDIT, {**asked, "colours": colours})
    return found

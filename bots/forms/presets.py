"""Three starting points for the risk fields. They fill the form; the owner decides."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from bots.forms.fields import write_number

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Text
else:
    Text = str


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named set of BotConfig values."""

    name: str
    label: Text
    help: Text
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The element that holds the values for app.js."""
        return f"preset-{self.name}"

    @property
    def texts(self) -> dict[str, Any]:
        """The values as the form's inputs hold them, for filling in without a request."""
        return {
            name: write_number(value) if isinstance(value, Decimal) else value
            for name, value in self.values.items()
        }


def _values(
    size: str, stop: str, take: str, trail: str, loss: str, target: str, trades: int
) -> Any:
    return {
        "position_size_fixed": None,
        "position_size_perc": Decimal(size),
        "stop_loss_perc": Decimal(stop),
        "take_profit_perc": Decimal(take),
        "trailing_stop_active": bool(trail),
        "trailing_stop_perc": Decimal(trail) if trail else None,
        "max_daily_loss_perc": Decimal(loss),
        "daily_target_perc": Decimal(target),
        "max_daily_trades": trades,
    }


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="careful",
            label=_("Careful"),
            help=_("5 % per entry, at most 1 % loss a day"),
            values=_values("5", "1", "2", "", "1", "2", 5),
        ),
        Preset(
            name="balanced",
            label=_("Balanced"),
            help=_("10 % per entry, at most 2 % loss a day"),
            values=_values("10", "2", "4", "1.5", "2", "4", 10),
        ),
        Preset(
            name="bold",
            label=_("Bold"),
            help=_("25 % per entry, at most 5 % loss a day"),
            values=_values("25", "4", "8", "3", "5", "10", 20),
        ),
    )
}

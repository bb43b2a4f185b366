"""Whether a model looks at images, for who does not open it."""

from __future__ import annotations

from pathlib import Path

from ml_intern.config.environ import Environ
from ml_intern.config.settings import Settings
from ml_intern.errors import ConfigError
from ml_intern.models.router_catalogue import RouterCatalogue
from ml_intern.models.routes import Routes


def sees_images(model_id: str, settings: Settings, environ: Environ, cache_dir: Path | None) -> bool | None:
    """As ``ModelCatalog.resolve`` would say; None for an id that leads nowhere. Reads the catalogue of an earlier run: blocks."""
    try:
        model = Routes(settings, environ).resolve(model_id)
    except ConfigError:
        return None
    served = RouterCatalogue(settings.router_url, cache_dir).get(model.wire_model) if model.on_router else None
    return model.sees_images if served is None or served.sees_images is None else served.sees_images

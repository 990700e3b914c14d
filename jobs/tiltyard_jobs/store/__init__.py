"""Where artifacts live: a folder or S3, behind one interface."""

from tiltyard_jobs.store.base import ObjectInfo, Store
from tiltyard_jobs.store.factory import open_store

__all__ = ["ObjectInfo", "Store", "open_store"]

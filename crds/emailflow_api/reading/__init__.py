"""Reading manifests: YAML text to documents, with the answers that `kubectl` would give.

Text comes in, documents go out; files are found and opened elsewhere.
"""

from emailflow_api.reading.document import Document
from emailflow_api.reading.documents import read_documents
from emailflow_api.reading.held_data import InvalidValue, decoded_data

__all__ = ["Document", "InvalidValue", "decoded_data", "read_documents"]

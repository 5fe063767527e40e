"""Reading manifests: YAML text to documents, with the answers that `kubectl` would give.

Text comes in, documents go out; files are found and opened elsewhere.
"""

from emailflow_api.reading.document import Document
from emailflow_api.reading.documents import read_documents

__all__ = ["Document", "read_documents"]

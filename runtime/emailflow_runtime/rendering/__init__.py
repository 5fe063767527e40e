"""From a template and a context to the bytes of a mail: Jinja2, MJML, CSS, text part, MIME, DKIM.

Pure: it runs the same in the killable worker, in `emailflow render` and in tests. Limits on time and
memory are the worker's, not this package's.
"""

"""The flows that the adversary floods, beside those of every world. Others use them too: one contact's flood
must not be anybody else's trouble.

Who enters them depends on the log's order alone: their waits end when no more of these events come.
"""

from emailflow_api import plans as p

TICKET = "com.example.ticket.opened"
CLOSED = "com.example.tickets.closed"
FORM = "com.example.form.sent"
LEFT = "com.example.form.left"
DRAFT = "com.example.draft.saved"
BASKET = "com.example.basket.filled"
LONG = "PT5H"

PROGRAMS = {
    "ticket": p.Program(
        trigger=p.Trigger(types=(TICKET,)),
        exits=(p.Exit(types=(CLOSED,), result="Closed"),),
        steps=(
            p.Send(name="received", next="open", template="shop/mail", provider="again"),
            p.Wait(name="open", next=p.END, duration=LONG),
        ),
    ),
    "form": p.Program(
        trigger=p.Trigger(types=(FORM,)),
        exits=(p.Exit(types=(LEFT,), result="Left"),),
        steps=(
            p.Wait(name="filled", next="sent", duration=LONG),
            p.Send(name="sent", next=p.END, template="shop/mail", provider="hold"),
        ),
    ),
    "draft": p.Program(
        trigger=p.Trigger(types=(DRAFT,), key="event.data.doc"),
        steps=(
            p.Wait(name="saved", next="remind", duration=LONG),
            p.Send(name="remind", next=p.END, template="shop/mail", provider="hold"),
        ),
    ),
    "basket": p.Program(
        trigger=p.Trigger(types=(BASKET,), filters=(p.Cel("event.data.items.map(i, i).size() > 1"),)),
        steps=(p.Send(name="filled", next=p.END, template="shop/mail", provider="again"),),
    ),
}
"""`basket`'s filter has no value for lists of thousands: too costly (ADR 23)."""
REENTRY = {"ticket": "Concurrent", "form": "AfterExit", "draft": "Restart", "basket": "Concurrent"}
POLICY = {"ticket": "orders"}
TYPES = {name: program.types() for name, program in PROGRAMS.items()}

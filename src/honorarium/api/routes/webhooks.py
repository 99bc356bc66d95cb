"""Being told what happens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, status
from fastapi.responses import Response
from sqlalchemy import Connection, RowMapping

from honorarium.api.deps import TheCaller, TheDoing, TheFront
from honorarium.api.models import DeliveryPage, WebhookList, WebhookMade, WebhookWanted
from honorarium.api.pages import APage
from honorarium.desk.once import Answer
from honorarium.ledger import events

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

AWebhook = Annotated[
    str, Path(max_length=40, pattern=r"^[\x21-\x7e]+$", description="The webhook's id.")
]


def _view(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "url": row["url"],
        "kinds": [kind for kind in row["kinds"].split(",") if kind],
        "disabled": row["disabled"],
        "createdAt": row["created_at"],
    }


@router.post(
    "",
    summary="Ask to be told",
    status_code=status.HTTP_201_CREATED,
    response_model=WebhookMade,
)
async def post_webhook(
    front: TheFront, who: TheCaller, do: TheDoing, body: WebhookWanted
) -> Response:
    """Each event is POSTed there, signed as Standard Webhooks has it (`webhook-id`,
    `webhook-timestamp`, `webhook-signature`), at least once.
    """

    def commit(connection: Connection) -> Answer:
        webhook_id, secret, _ = front.hooks.add(connection, who.account, body.url, body.kinds)
        row = front.hooks.get(connection, webhook_id, who.account)
        return Answer(201, {**_view(row), "secret": secret})

    async def prepare() -> Any:
        return commit

    return await do(prepare)


@router.get("", summary="List one's webhooks", response_model=WebhookList)
async def get_webhooks(front: TheFront, who: TheCaller) -> dict[str, Any]:
    """All of them; the secrets are not told again."""
    rows = await front.aside.read(lambda c: events.webhooks_of(c, who.account))
    return {"items": [_view(row) for row in rows], "next": None}


@router.delete("/{webhook}", summary="Be told no more", status_code=status.HTTP_204_NO_CONTENT)
async def delete_webhook(front: TheFront, who: TheCaller, webhook: AWebhook) -> Response:
    """What was not told yet is not told any more."""
    await front.aside.write(lambda c: front.hooks.drop(c, webhook, who.account))
    return Response(status_code=204)


@router.get("/{webhook}/deliveries", summary="What a webhook was told", response_model=DeliveryPage)
async def get_deliveries(
    front: TheFront, who: TheCaller, webhook: AWebhook, page: APage
) -> dict[str, Any]:
    """The newest first."""

    def read(connection: Connection) -> list[RowMapping]:
        front.hooks.get(connection, webhook, who.account)
        return list(events.deliveries_of(connection, webhook, page.after, page.limit + 1))

    rows = await front.aside.read(read)
    items = [
        {
            "id": row["id"],
            "event": f"evt_{row['event']}_{row['webhook']}",
            "kind": row["kind"],
            "session": "0x" + row["session_id"].hex() if row["session_id"] else None,
            "status": row["status"],
            "attempts": row["attempts"],
            "nextAt": row["next_at"] if row["status"] == events.WAITING else None,
            "answered": row["answered"],
            "problem": row["problem"],
            "changedAt": row["changed_at"],
        }
        for row in rows
    ]
    return page.of(items, [row["id"] for row in rows])

//! `GET /ws`: the same frames by WebSocket.

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bloodbank_core::Code;

use super::frames::{Frame, Frames};
use super::{Following, open};
use crate::Gateway;
use crate::caller::Reader;
use crate::events::Which;
use crate::origin;
use crate::parameters::Queries;
use crate::problem::{Answer, Problem, ProblemBody};

/// The most bytes of what a reader sends, which is not read for its contents.
const MOST_BYTES: usize = 4 << 10;

/// Follow what passes, by WebSocket
///
/// The frames of `/stream`, each a text of JSON: `type`, `position`, and `data`. A reader that comes back
/// says with `after` behind which position it goes on.
#[utoipa::path(get, path = "/ws", tag = "streams", params(Which, Following),
    responses(
        (status = 101, description = "Events as they pass."),
        (status = "4XX", description = "It is not asked for as a WebSocket, or not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "There is no room for another stream, or the store cannot be asked.",
            body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(crate) async fn ws(
    State(gateway): State<Gateway>,
    Reader(caller): Reader,
    Queries(which, following): Queries<Which, Following>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    // Browsers ask nobody before they open a WebSocket to another origin.
    origin::check(&gateway, &headers)?;
    let upgrade = upgrade.map_err(|rejection| {
        let detail = rejection.body_text();
        Problem::new(StatusCode::UPGRADE_REQUIRED, Code::UpgradeExpected, detail)
    })?;
    let frames = open(&gateway, caller, headers, &which, following).await?;
    let upgrade = upgrade.max_message_size(MOST_BYTES).max_frame_size(MOST_BYTES);
    Ok(upgrade.on_upgrade(|socket| send(socket, frames)))
}

async fn send(mut socket: WebSocket, mut frames: Frames) {
    loop {
        tokio::select! {
            // Pings are answered while it is read; whatever else a reader says means nothing.
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            frame = frames.next() => {
                let Some(frame) = frame else { break };
                if socket.send(Message::Text(text(&frame).into())).await.is_err() {
                    return;
                }
            }
        }
    }
    let close = CloseFrame { code: close_code::AWAY, reason: "the stream has ended".into() };
    // Who is gone already need not be told.
    let _ = socket.send(Message::Close(Some(close))).await;
}

fn text(frame: &Frame) -> String {
    let Frame { name, position, json } = frame;
    format!("{{\"type\":\"{name}\",\"position\":{position},\"data\":{json}}}")
}

//! How a process ends: it is asked to, tells whoever sends it requests, lets work end, hands over what has not.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::connections::Connections;
use crate::app::App;
use crate::config::Config;

/// How long streams that are broken off may take to say so to their clients.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long the database may take to hand over what is left, and models to end.
const LAST_DEEDS: Duration = Duration::from_secs(3);

/// Asks to stop, by a service manager or at the keyboard.
pub(super) struct Asked {
    terminate: Signal,
    interrupt: Signal,
}

/// How long each part of stopping may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    /// Serving on, for a balancer to notice.
    delay: Duration,
    /// Letting runs and answers end.
    patience: Duration,
}

impl Asked {
    /// From now on these signals end nothing by themselves.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits until it is asked, once more where it was before.
    pub(super) async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Stopping {
    pub(super) fn new(config: &Config) -> Self {
        let has_peers = !config.database_url.is_empty() && config.role.serves();
        Self {
            delay: Duration::from_secs(if has_peers { config.stop_delay_seconds } else { 0 }),
            patience: Duration::from_secs(config.stop_seconds),
        }
    }

    /// Stops; at once, where it is asked again meanwhile.
    pub(super) async fn stop(self, app: &App, connections: &Connections, asked: &mut Asked) {
        tracing::info!("stopping");
        app.health.stop();
        let hurried = tokio::select! {
            () = self.let_end(app, connections) => false,
            () = asked.again() => {
                tracing::info!("stopping at once");
                true
            }
        };
        app.engine.take_no_more();
        connections.close();
        app.engine.break_off();
        if !hurried {
            let _ = timeout(LAST_WORDS, at_rest(app, connections)).await;
        }
        hand_over(app).await;
        let _ = timeout(LAST_DEEDS, app.upstreams.stop()).await;
    }

    async fn let_end(self, app: &App, connections: &Connections) {
        sleep(self.delay).await;
        app.engine.take_no_more();
        connections.close();
        // A file that is read again loses little: its vectors are kept by their texts.
        if timeout(LAST_DEEDS, app.ingest.stop()).await.is_err() {
            tracing::warn!("files at work could not be handed back yet");
        }
        let _ = timeout(self.patience, at_rest(app, connections)).await;
    }
}

/// Waits for connections first: as long as there is one, a run may begin.
async fn at_rest(app: &App, connections: &Connections) {
    connections.closed().await;
    app.engine.at_rest().await;
}

/// Makes due whatever is left: others take it up at once. Should the database not answer, they do when the leases
/// have run out.
async fn hand_over(app: &App) {
    let handed = timeout(LAST_DEEDS, async {
        app.engine.hand_back().await?;
        app.ingest.stop().await
    });
    match handed.await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::error!("what was at work could not be handed back: {fault}"),
        Err(_) => tracing::error!("what was at work could not be handed back: the database does not answer"),
    }
}

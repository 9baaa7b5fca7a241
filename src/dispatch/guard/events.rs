use async_trait::async_trait;
use backend::{BackendError, Change, Events};
use futures_util::stream::BoxStream;

use super::{Guarded, call::Call, gone};

#[async_trait]
impl Events for Guarded {
    async fn follow(&self) -> Result<BoxStream<'static, Result<Change, BackendError>>, BackendError> {
        let events = self.backend.events().ok_or_else(|| gone("events"))?;
        self.call(Call::FollowEvents, events.follow()).await
    }
}

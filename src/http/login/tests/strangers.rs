//! Many who are nobody.

use super::*;
use crate::{http::login::cookie, store::event};

/// Enough that whatever is kept of each would be seen in the database. That what is counted of addresses is bounded,
/// 100 000 show to the limit itself.
const FLOOD: usize = 5_000;

#[actix_web::test]
async fn a13_strangers_leave_nothing_behind() {
    let rig = Rig::with("[http]\ntrusted_proxies = ['127.0.0.1']\n").await;
    let mut browser = rig.browser();
    let start = browser.get("/login/start?provider=school").await;
    assert_eq!(start.status, 303, "the control: it can be begun");
    let rubbish = browser.cookies[cookie::SIGNING_IN].replace('A', "B");
    let browser = &browser;
    let ask = |number: usize| {
        let from = format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255);
        let path = match number % 4 {
            0 => format!("/login/start?provider=school&next=/x{number}"),
            1 => format!("/login/callback/school?code={number}&state={number}"),
            2 => "/login".to_owned(),
            _ => format!("/login/link/{number}"),
        };
        let request = browser.request(reqwest::Method::GET, &path).header("x-forwarded-for", from);
        request.header("cookie", format!("{}={rubbish}; {}={number}", cookie::SIGNING_IN, cookie::SESSION))
    };
    for first in (0..FLOOD).step_by(50) {
        let answers =
            (first..first + 50).map(|number| async move { ask(number).send().await.unwrap().status().as_u16() });
        let statuses = futures_util::future::join_all(answers).await;
        assert!(statuses.iter().all(|status| *status != 500), "{statuses:?}");
    }
    assert_eq!((rig.sessions().await, rig.spent().await), (0, 0));
    let sealed = rig.db.read(event::last_position).await.unwrap();
    let unsealed = rig.db.read(event::unsealed).await.unwrap();
    assert!(sealed + unsealed < 100, "the log of events tells of a few a minute: {sealed} and {unsealed}");
    let mut late = rig.browser();
    let request = late.request(reqwest::Method::GET, "/login").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(late.send(request).await.status, 200);
}

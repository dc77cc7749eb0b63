//! Real connections, since it is they that must end.

use super::*;
use futures_util::FutureExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_newcomer_gets_the_place_of_an_idle_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bounded = Bounded::new(1);
    let accept = async || {
        let client = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let bounded = bounded.clone();
        // It neither reads nor writes, as one whose review waits for room.
        let seated = async move {
            let waits = |seated, place| async move {
                std::future::pending::<()>().await;
                drop((seated, place));
                Ok(())
            };
            bounded.seat(stream, waits).await
        };
        (client, tokio::spawn(seated))
    };
    let (mut first, seated) = accept().await;
    tokio::task::yield_now().await;
    let (_second, _) = accept().await;
    let error = seated.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(first.read(&mut [0]).await.unwrap(), 0, "it is closed");
}

#[tokio::test]
async fn no_more_are_accepted_than_can_be_closed_again() {
    let bounded = Bounded::new(1);
    let mut open = Vec::new();
    for _ in 0..=BETWEEN_MAX {
        open.push(bounded.room().await.unwrap());
    }
    assert!(bounded.room().now_or_never().is_none());
    open.pop();
    assert!(bounded.room().now_or_never().is_some());
}

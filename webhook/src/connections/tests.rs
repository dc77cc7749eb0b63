//! Real connections, since it is they that must end.

use super::*;
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
        let (seated, _) = bounded.seat(stream).unwrap();
        (client, seated)
    };
    let (_client, mut first) = accept().await;
    let reading = tokio::spawn(async move { first.read_u8().await });
    let _second = accept().await;
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
}

//! The behaviour of this driver, in addition to the rules of every driver.

use osiris_core::{Error, Result, StepOutput};
use osiris_testkit::{Bench, Sample};
use serde_json::{Value, json};

use crate::api::{Api, Behaviour};

async fn extract(api: &Api, config: Value) -> Result<StepOutput> {
    let bench = Bench::new(osiris_driver_sampleapi::register)?;
    bench.step("read", "sampleapi.extractor", config).connection(api.connection()).run().await.map_err(Error::from)
}

#[tokio::test]
async fn a_page_that_is_too_large_is_requested_at_half_the_size() {
    let api = Api::start(Sample::new(10), Behaviour { max_page: Some(5), ..Behaviour::default() }).unwrap();
    let output = extract(&api, json!({"resource": "orders", "page_size": 16})).await.unwrap();
    assert_eq!((output.rows, api.page_sizes()), (10, vec![16, 8, 4, 4, 4]));
}

#[tokio::test]
async fn a_limit_of_pages_ends_the_list() {
    let api = Api::start(Sample::new(10), Behaviour::default()).unwrap();
    let output = extract(&api, json!({"resource": "orders", "page_size": 4, "max_pages": 2})).await.unwrap();
    assert_eq!((output.rows, api.page_sizes()), (8, vec![4, 4]));
}

//! The server: answers the protocol, and hands calls of tools to a thread of their own.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};

use super::tools::{Answer, Tools};
use crate::console::json_line;

const INSTRUCTIONS: &str = "Pipelines of Osiris: they move tables between databases, HTTP APIs and files. A pipeline is YAML: `list_components` \
    and `show_component` say what its steps can be, `validate` what is wrong with it. Errors have a code that `explain` explains.";

/// The tools over the protocol.
pub(super) struct Server(Arc<Tools>);

impl Server {
    pub(super) fn new(tools: Tools) -> Self {
        Self(Arc::new(tools))
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("osiris", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.0.list()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !Tools::has(&request.name) {
            return Err(ErrorData::invalid_params(format!("unknown tool `{}`", request.name), None));
        }
        let (tools, cancel) = (Arc::clone(&self.0), self.0.halt.child_token());
        // Whoever drops the answer cancels the work.
        let _guard = cancel.clone().drop_guard();
        let cancelled = cancel.clone();
        let mut called = tokio::task::spawn_blocking(move || tools.call(&request.name, request.arguments, &cancelled));
        let answer = tokio::select! {
            answer = &mut called => answer,
            () = context.ct.cancelled() => {
                // What has begun is rolled back before it is answered.
                cancel.cancel();
                called.await
            }
        };
        let answer = answer.map_err(|_| ErrorData::internal_error("the tool ended in a panic", None))?;
        Ok(result(answer).into())
    }
}

fn result(answer: Answer) -> CallToolResult {
    let content = vec![ContentBlock::text(json_line(&answer.document))];
    let mut result = if answer.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    // Earlier versions of the protocol have objects only.
    result.structured_content = Some(answer.document).filter(serde_json::Value::is_object);
    result
}

//! Functions that do more than compute: they write, lock, wait, run other statements, reach files, other sessions or
//! other servers. The read-only transaction stops most of them too, but not those that change nothing in its own
//! database.

/// What is known of a function by its name alone.
pub(super) fn is_refused(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if let Some(rest) = name.strip_prefix("pg_") {
        return !PG_READERS.contains(&name.as_str())
            && !PG_READER_PREFIXES.iter().any(|prefix| rest.starts_with(prefix))
            && !rest.ends_with("_is_visible");
    }
    FUNCTIONS.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether everything in a schema of this name reaches beyond the database, or changes the server: extensions of
/// hosters.
pub(super) fn is_refused_schema(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SCHEMAS.contains(&name.as_str()) || SCHEMA_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a function that its server calls volatile is known to do no more than look: random numbers, the time, the
/// state of the session or the server. Those of `pg_` that the static check lets through look as well.
pub(crate) fn is_known_reader(name: &str) -> bool {
    VOLATILE_READERS.contains(&name) || (name.starts_with("pg_") && !is_refused(name))
}

/// Schemas of extensions whose functions act elsewhere.
const SCHEMAS: [&str; 8] = ["aws_lambda", "aws_ml", "aws_s3", "azure_ai", "azure_storage", "cron", "net", "pgmq"];
/// Oracle's packages, as orafce and EDB have them.
const SCHEMA_PREFIXES: [&str; 2] = ["dbms_", "utl_"];

/// Functions that are volatile and only look, of the server and of extensions that are in wide use (uuid-ossp,
/// pgcrypto, tablefunc).
const VOLATILE_READERS: [&str; 29] = [
    "amvalidate",
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "currtid",
    "currtid2",
    "current_query",
    "currval",
    "gen_random_bytes",
    "gen_random_uuid",
    "gen_salt",
    "lastval",
    "normal_rand",
    "pgp_pub_encrypt",
    "pgp_pub_encrypt_bytea",
    "pgp_sym_encrypt",
    "pgp_sym_encrypt_bytea",
    "plpgsql_validator",
    "random",
    "random_normal",
    "setseed",
    "timeofday",
    "timezone",
    "txid_status",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
];

/// Families of functions, all of whose members are refused.
const PREFIXES: [&str; 19] = [
    "binary_upgrade_",
    "brin_desummarize",
    "brin_summarize",
    "connectby",
    "crosstab",
    "cursor_to_xml",
    "dblink",
    "heap_force_",
    "http_",
    "lo_",
    "loread",
    "lowrite",
    "master_run_on_",
    "postgres_fdw_disconnect",
    "query_export_to_s3",
    "query_to_xml",
    "run_command_on_",
    "schema_to_xml",
    "ts_rewrite",
];

/// Functions by name.
const FUNCTIONS: [&str; 16] = [
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "database_to_xmlschema",
    "gin_clean_pending_list",
    "http",
    "nextval",
    "plpgsql_call_handler",
    "plpgsql_inline_handler",
    "set_config",
    "setval",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
    "ts_stat",
    "txid_current",
    "xpath_table",
];

/// The functions whose names begin with `pg_` are refused, but for these, which only look: a new version may bring
/// others of which nothing is known here.
const PG_READERS: [&str; 47] = [
    "pg_available_extensions",
    "pg_available_extension_versions",
    "pg_backend_pid",
    "pg_basetype",
    "pg_blocking_pids",
    "pg_char_to_encoding",
    "pg_client_encoding",
    "pg_collation_actual_version",
    "pg_collation_for",
    "pg_column_compression",
    "pg_column_is_updatable",
    "pg_column_size",
    "pg_conf_load_time",
    "pg_current_logfile",
    "pg_current_snapshot",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_collation_actual_version",
    "pg_database_size",
    "pg_describe_object",
    "pg_encoding_max_length",
    "pg_encoding_to_char",
    "pg_filenode_relation",
    "pg_has_role",
    "pg_identify_object",
    "pg_identify_object_as_address",
    "pg_index_column_has_property",
    "pg_index_has_property",
    "pg_indexam_has_property",
    "pg_indexes_size",
    "pg_jit_available",
    "pg_my_temp_schema",
    "pg_options_to_table",
    "pg_postmaster_start_time",
    "pg_relation_filenode",
    "pg_relation_filepath",
    "pg_relation_is_updatable",
    "pg_relation_size",
    "pg_sequence_parameters",
    "pg_show_all_settings",
    "pg_table_size",
    "pg_tablespace_databases",
    "pg_tablespace_location",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "pg_typeof",
];

/// What stands behind `pg_` in families that only look.
const PG_READER_PREFIXES: [&str; 14] = [
    "control_",
    "get_",
    "input_",
    "is_in_",
    "is_other_",
    "last_",
    "partition_",
    "sequence_last_value",
    "size_",
    "snapshot_",
    "stat_get_",
    "timezone_",
    "visible_in_snapshot",
    "wal_lsn_diff",
];

#[cfg(test)]
mod tests {
    use super::{is_known_reader, is_refused, is_refused_schema};

    #[test]
    fn functions_are_judged_by_their_whole_name_whatever_its_case() {
        for name in ["PG_SLEEP", "pg_sleep_for", "lo_import", "dblink_exec", "setval", "pg_never_heard_of", "Http_Post"]
        {
            assert!(is_refused(name), "{name}");
        }
        for name in ["run_command_on_workers", "Run_Command_On_Shards", "query_export_to_s3"] {
            assert!(is_refused(name), "{name}");
        }
        for schema in ["aws_lambda", "AWS_S3", "dbms_lock", "dbms_pipe", "utl_file", "net", "azure_storage"] {
            assert!(is_refused_schema(schema), "{schema}");
        }
        assert!(!is_refused_schema("public") && !is_refused_schema("networks"));
        assert!(is_known_reader("random") && is_known_reader("pg_relation_size") && !is_known_reader("pg_sleep"));
        assert!(!is_known_reader("anything_else"));
        for name in ["pg_typeof", "PG_GET_VIEWDEF", "lower", "log", "pg_table_is_visible", "sett", "httpd", "currval"] {
            assert!(!is_refused(name), "{name}");
        }
    }
}

//! Which functions SQL from a pipeline may call: those that compute a value from their arguments and nothing else. A
//! function that is on neither list is refused, so that a new version of DuckDB opens nothing; a test compares both
//! with the engine.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Table functions that make rows from their arguments.
const TABLE: &str = "generate_series json_each json_tree range repeat repeat_row unnest";

/// Aggregates and window functions.
const AGGREGATE: &str = "
    any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last arg_min
    arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count
    count_if count_star countif covar_pop covar_samp decimal_average entropy favg first fsum geomean geometric_mean group_concat
    histogram histogram_exact json_group_array json_group_object json_group_structure kahan_sum kurtosis kurtosis_pop last list
    listagg lttb mad max max_by mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy
    regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness stddev stddev_pop
    stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance variant_group_array variant_group_object wavg
    weighted_avg
    cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number";

/// Functions and operators of values.
const SCALAR: &str = "
    !__postfix !~~ !~~* % & && * ** + - ->> / // < <-> << <= <=> <@ = != > >= >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~ -> ->>
    abs acos acosh add age ago aggregate alias apply array_aggr array_aggregate array_append array_apply array_cat array_concat
    array_contains array_cosine_distance array_cosine_similarity array_cross_product array_distance array_distinct
    array_dot_product array_extract array_filter array_grade_up array_has array_has_all array_has_any array_indexof
    array_inner_product array_intersect array_length array_negative_dot_product array_negative_inner_product array_pop_back
    array_pop_front array_position array_prepend array_push_back array_push_front array_reduce array_resize array_reverse
    array_reverse_sort array_select array_slice array_sort array_to_json array_to_string array_to_string_comma_default
    array_transform array_unique array_value array_where array_zip ascii asin asinh assert_true atan atan2 atanh bar base64 bin
    binom bit_count bit_length bit_position bitstring can_cast_implicitly cardinality cast_to_type cbrt ceil ceiling century
    char_length character_length chr concat concat_ws constant_or_null contains cos cosh cot create_sort_key current_catalog
    current_database current_date current_localtime current_localtimestamp current_role current_schema current_schemas
    current_time current_timestamp current_user damerau_levenshtein date_add date_diff date_part date_sub date_trunc datediff
    datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month decade decimal_division decode degrees
    divide editdist3 element_at encode ends_with enum_code enum_first enum_last enum_range enum_range_boundary epoch epoch_ms
    epoch_ns epoch_us equi_width_bins era error even exp factorial fdiv filter flatten floor fmod format format_bytes
    formatreadabledecimalsize formatreadablesize from_base64 from_binary from_hex from_json from_json_strict gamma gcd
    gen_random_uuid generate_series generate_subscripts get_bit get_current_time get_current_timestamp get_type grade_up
    greatest greatest_common_divisor hamming hash hex hour if ifnull ilike_escape instr invoke is_histogram_other_bin isfinite
    isinf isnan isodow isoyear jaccard jaro_similarity jaro_winkler_similarity json json_array json_array_length json_contains
    json_deep_merge json_exists json_extract json_extract_path json_extract_path_text json_extract_string json_insert json_keys
    json_merge_patch json_merge_patch_diff json_normalize json_object json_pretty json_quote json_remove json_replace json_set
    json_strip_nulls json_structure json_transform json_transform_strict json_type json_valid json_value julian last_day lcase
    lcm least least_common_multiple left left_grapheme len length length_grapheme levenshtein lgamma like_escape list_aggr
    list_aggregate list_any_value list_append list_apply list_approx_count_distinct list_avg list_bit_and list_bit_or
    list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance list_cosine_similarity
    list_count list_distance list_distinct list_dot_product list_element list_entropy list_extract list_filter list_first
    list_grade_up list_has list_has_all list_has_any list_histogram list_indexof list_inner_product list_intersect
    list_kurtosis list_kurtosis_pop list_last list_mad list_max list_median list_min list_mode list_negative_dot_product
    list_negative_inner_product list_pack list_position list_prepend list_product list_reduce list_resize list_reverse
    list_reverse_sort list_select list_sem list_skewness list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg
    list_sum list_transform list_unique list_value list_var_pop list_var_samp list_where list_zip ln localtime localtimestamp
    log log10 log2 lower lpad ltrim make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz
    make_type map map_concat map_contains map_contains_entry map_contains_value map_entries map_extract map_extract_value
    map_from_entries map_keys map_values md5 md5_number md5_number_lower md5_number_upper microsecond millennium millisecond
    minute mismatches mod month monthname multiply nanosecond nextafter nfc_normalize normalized_interval not_ilike_escape
    not_like_escape now nullif octet_length ord overlay parse_dirname parse_dirpath parse_filename parse_formatted_bytes
    parse_path path_join pg_size_pretty pg_typeof pi position pow power prefix printf quarter radians random range reduce
    regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table remap_struct repeat replace replace_type reverse right right_grapheme round round_even roundbankers row
    row_to_json rpad rtrim second session_user set_bit setseed sha1 sha256 sign signbit sin sinh split split_part sqrt
    st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_crs st_geomfromgeojson st_geomfromwkb st_intersects_extent st_setcrs
    starts_with str_split str_split_regex strftime string_split string_split_regex string_to_array strip_accents strlen strpos
    strptime struct_concat struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert struct_keys
    struct_pack struct_position struct_update struct_values substr substring substring_grapheme subtract suffix switch tan tanh
    time_bucket timezone timezone_hour timezone_minute to_base to_base64 to_binary to_centuries to_days to_decades to_hex
    to_hours to_json to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp
    to_weeks to_years today transaction_timestamp translate trim trunc try_strptime typeof ucase unbin unhex unicode
    union_extract union_tag union_value unlist unnest unpivot_list upper url_decode url_encode user uuid uuid_extract_timestamp
    uuid_extract_version uuidv4 uuidv7 variant_array_length variant_contains variant_exists variant_extract
    variant_extract_string variant_keys variant_normalize variant_type variant_typeof version vertex_extract week weekday
    weekofyear xor year yearweek";

/// Functions that are refused: they read files, settings, the catalog, the session or other tables, run SQL, wait,
/// write, or take bytes for the engine's own state. The list exists to be compared with the engine: what is new there
/// is on neither list.
const REFUSED: &str = "
    add_parquet_key arrow_scan arrow_scan_dumb bitstring_byte_comparable checkpoint col_description collations combine
    combine_aggr copy_database create_external_resource current_connection_id current_query current_query_id current_setting
    current_transaction_id currval database_list database_size deregister_external_resource destroy_external_resource
    disable_checkpoint_on_shutdown disable_logging disable_object_cache disable_optimizer disable_print_progress_bar
    disable_profile disable_profiling disable_progress_bar disable_verification disable_verify_parallelism
    enable_checkpoint_on_shutdown enable_logging enable_object_cache enable_optimizer enable_print_progress_bar enable_profile
    enable_profiling enable_progress_bar enable_verification extension_versions finalize force_checkpoint format_pg_type
    format_type functions get_block_size getenv getvariable glob has_any_column_privilege has_column_privilege
    has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege
    has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege
    histogram_values hive_partition_component import_database in_search_path index_key inet_client_addr inet_client_port
    inet_server_addr inet_server_port json_copy_strftime_if_date json_copy_strftime_if_timestamp json_deserialize_sql
    json_execute_serialized_sql json_serialize_plan json_serialize_sql map_to_pg_oid metadata_info nextval obj_description
    osiris_rows pandas_scan parquet_bloom_probe parquet_file_metadata parquet_full_metadata parquet_kv_metadata
    parquet_metadata parquet_scan parquet_schema parse_duckdb_log_message pg_collation_is_visible pg_conf_load_time
    pg_conversion_is_visible pg_function_is_visible pg_get_constraintdef pg_get_expr pg_get_viewdef pg_has_role
    pg_is_other_temp_schema pg_my_temp_schema pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible
    pg_postmaster_start_time pg_sleep pg_table_is_visible pg_timezone_names pg_ts_config_is_visible pg_ts_dict_is_visible
    pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible platform python_arrow_scan python_map_function query
    query_table read_blob read_csv read_csv_auto read_duckdb read_json read_json_auto read_json_objects read_json_objects_auto
    read_ndjson read_ndjson_auto read_ndjson_objects read_parquet read_single_csv_file read_single_json_file
    read_single_parquet_file read_text register_external_resource register_external_resource_type seq_scan setval
    shobj_description show show_databases show_tables show_tables_expanded sleep_ms sniff_csv stats storage_info summary
    table_info test_all_types test_vector_types timetz_byte_comparable to_aggregate_state truncate_duckdb_logs txid_current
    user_agent variant_bytes_to_variant variant_comparator variant_to_parquet_variant vector_type verify_parallelism which_secret
    write_log";

/// What belongs to the engine's inside, to its catalog, or to collations, which have a syntax of their own.
const REFUSED_PREFIXES: [&str; 7] = ["__", "duckdb_", "pragma_", "icu_", "collate_", "is distinct", "is not distinct"];

struct Lists {
    tables: HashSet<&'static str>,
    aggregates: HashSet<&'static str>,
    scalars: HashSet<&'static str>,
    refused: HashSet<&'static str>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists {
    tables: TABLE.split_whitespace().collect(),
    aggregates: AGGREGATE.split_whitespace().collect(),
    scalars: SCALAR.split_whitespace().collect(),
    refused: REFUSED.split_whitespace().collect(),
});

/// Whether `FROM name(...)` only makes rows from its arguments.
pub(super) fn makes_rows(name: &str) -> bool {
    LISTS.tables.contains(name.to_lowercase().as_str())
}

/// Whether `name` is an aggregate or a window function.
pub(super) fn is_aggregate(name: &str) -> bool {
    LISTS.aggregates.contains(name.to_lowercase().as_str())
}

/// Whether `name(...)` in an expression computes a value and nothing else.
pub(in crate::store) fn computes(name: &str) -> bool {
    let name = name.to_lowercase();
    LISTS.scalars.contains(name.as_str()) || LISTS.aggregates.contains(name.as_str())
}

/// Functions whose value differs from one statement to the next, although their arguments are the same. The clock of a run
/// stands still where the store has a macro of its own.
const VARYING: [&str; 14] = [
    "age",
    "current_localtime",
    "current_localtimestamp",
    "current_time",
    "gen_random_uuid",
    "get_current_time",
    "localtime",
    "localtimestamp",
    "random",
    "setseed",
    "transaction_timestamp",
    "uuid",
    "uuidv4",
    "uuidv7",
];

/// Whether `name(...)` may have another value in the next statement.
pub(super) fn varies(name: &str) -> bool {
    VARYING.contains(&name.to_lowercase().as_str())
}

/// Whether DuckDB has a function of this name that is not for pipelines: no macro may take its name either.
pub(super) fn is_refused(name: &str) -> bool {
    let name = name.to_lowercase();
    LISTS.refused.contains(name.as_str()) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s25_every_function_of_the_engine_is_allowed_or_refused_by_name() {
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let mut statement =
            connection.prepare("SELECT DISTINCT function_name, function_type FROM duckdb_functions()").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
        let functions: Vec<(String, String)> = rows.map(Result::unwrap).collect();
        assert!(functions.len() > 500, "{}", functions.len());
        let known = |(name, kind): &&(String, String)| match kind.as_str() {
            "table" | "table_macro" => makes_rows(name) || is_refused(name) || name == "histogram",
            "pragma" => true,
            "aggregate" | "window" => is_aggregate(name) || is_refused(name),
            _ => computes(name) || is_refused(name),
        };
        let unknown: Vec<_> = functions.iter().filter(|function| !known(function)).collect();
        assert!(unknown.is_empty(), "put these on one of the lists: {unknown:?}");
        let twice: Vec<_> = functions
            .iter()
            .filter(|(name, kind)| is_refused(name) && (computes(name) || makes_rows(name)) && kind != "pragma")
            .collect();
        assert!(twice.is_empty(), "on two lists: {twice:?}");
    }

    #[test]
    fn every_volatile_function_of_the_engine_is_known_to_vary() {
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let sql = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'";
        let mut statement = connection.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let volatile: Vec<String> = names.filter(|name| computes(name) && name != "error").collect();
        assert!(volatile.len() > 3, "{volatile:?}");
        let unknown: Vec<_> = volatile.iter().filter(|name| !varies(name)).collect();
        assert!(unknown.is_empty(), "put these on the list: {unknown:?}");
    }

    #[test]
    fn s25_functions_that_reach_beyond_their_arguments_are_refused() {
        for name in
            ["READ_TEXT", "Query", "query_table", "glob", "nextval", "current_setting", "duckdb_tables", "nonsense"]
        {
            assert!(!computes(name) && !makes_rows(name), "{name}");
        }
    }
}

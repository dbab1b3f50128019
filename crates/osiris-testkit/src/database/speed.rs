//! The rows of measurements: a table like `lineitem` of TPC-H, without the test's own numbers.

/// The columns, of the number `i` of a row.
pub const COLUMNS: &str = "i::BIGINT AS id, (i % 20000)::BIGINT AS part, (i % 1000)::BIGINT AS supplier, \
    (i % 7)::INTEGER AS line, (i % 50)::DECIMAL(15,2) AS quantity, (i % 100000 / 100)::DECIMAL(15,2) AS price, \
    (i % 10 / 100)::DECIMAL(15,2) AS discount, (i % 8 / 100)::DECIMAL(15,2) AS tax, \
    substr('ARN', i % 3 + 1, 1) AS flag, substr('OF', i % 2 + 1, 1) AS status, \
    DATE '1992-01-01' + (i % 2500)::INTEGER AS shipped, DATE '1992-02-01' + (i % 2500)::INTEGER AS promised, \
    DATE '1992-03-01' + (i % 2500)::INTEGER AS received, 'DELIVER IN PERSON' AS instruction, 'TRUCK' AS mode, \
    'carefully final deposits ' || (i * 7919 % 100003) AS note";

/// The table that takes them.
pub const TABLE: &str = "(id BIGINT NOT NULL, part BIGINT NOT NULL, supplier BIGINT NOT NULL, line INT NOT NULL, \
    quantity NUMERIC(15,2) NOT NULL, price NUMERIC(15,2) NOT NULL, discount NUMERIC(15,2) NOT NULL, \
    tax NUMERIC(15,2) NOT NULL, flag CHAR(1) NOT NULL, status CHAR(1) NOT NULL, shipped DATE NOT NULL, \
    promised DATE NOT NULL, received DATE NOT NULL, instruction VARCHAR(25) NOT NULL, mode VARCHAR(10) NOT NULL, \
    note VARCHAR(44) NOT NULL)";

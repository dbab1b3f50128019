// PostGraphile 4, which makes the API from the tables of a database.

const { createServer } = require("node:http");
const { postgraphile } = require("postgraphile");

const options = { graphqlRoute: "/graphql", graphiql: false, disableQueryLog: true, simpleCollections: "both" };
createServer(postgraphile(process.env.DATABASE_URL, "public", options))
  .listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening"));

// Checks signed messages with the libraries that receivers of webhooks use: one line of JSON in,
// {library, secret, headers, body}, one line out: "ok", or why not.
const readline = require('node:readline');
const libraries = {standardwebhooks: require('standardwebhooks').Webhook, svix: require('svix').Webhook};

readline.createInterface({input: process.stdin}).on('line', (line) => {
    const {library, secret, headers, body} = JSON.parse(line);
    try {
        new libraries[library](secret).verify(body, headers);
        console.log('ok');
    } catch (error) {
        console.log(`refused: ${error.message}`);
    }
});

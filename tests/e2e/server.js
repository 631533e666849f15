// server.js PORT DIRECTORY answers with the file `answer` in DIRECTORY as of the start or the last SIGHUP; /slow waits for its
// backend. As `server.js start COMMAND` it is a launcher like npm: it runs the command by a shell, and calls itself `npm start`.
const { spawn } = require("child_process");
const fs = require("fs");
const http = require("http");
const net = require("net");

function serve(port, directory) {
  let answer;
  const read = () => { answer = fs.readFileSync(`${directory}/answer`); };
  read();
  process.on("SIGHUP", read);
  const respond = (request, response) => {
    if (request.url !== "/slow") return response.end(answer);
    net.connect(process.env.BACKEND, "127.0.0.1").pipe(response);
  };
  http.createServer(respond).listen(port, "127.0.0.1");
}

function launch(command) {
  process.title = "npm start";
  spawn("sh", ["-c", command], { stdio: "inherit" }).on("exit", process.exit);
}

const [first, second] = process.argv.slice(2);
if (first === "start") launch(second); else serve(Number(first), second);

import app from "./app.json"
import assistants from "./assistants.json"
import files from "./files.json"
import inspector from "./inspector.json"
import threads from "./threads.json"

export default { app, assistants, files, inspector, threads }

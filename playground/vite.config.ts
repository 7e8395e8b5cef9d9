import react from "@vitejs/plugin-react"
import type { Plugin } from "vite"
import { defineConfig } from "vitest/config"

// `npm run dev` serves the app with hot reloading and sends /v1 to a server that runs already.
const server = process.env.ADJUTANT_URL ?? "http://127.0.0.1:8080"

/** KaTeX names each font in three formats. Every browser that runs the app reads the first. */
const oneFormatOfFonts: Plugin = {
  name: "one-format-of-fonts",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("katex.min.css")) return
    return code.replace(/,url\([^)]*\.(?:woff|ttf)\) format\("\w+"\)/g, "")
  },
}

export default defineConfig({
  plugins: [react(), oneFormatOfFonts],
  // Mantine and the code editor write <style> elements. The server puts a fresh value in the place of this word each
  // time it serves index.html, and names it in style-src; the app reads it from the <meta> that Vite adds.
  html: { cspNonce: "CSP_NONCE" },
  server: {
    // The server refuses pages of other origins, and to it the development server is one.
    proxy: { "/v1": { target: server, changeOrigin: true, headers: { origin: server } } },
  },
  build: {
    target: "es2023",
    // All of these know light-dark(). For older ones it would be rewritten to variables that our themes do not set.
    cssTarget: ["chrome123", "edge123", "firefox120", "safari17.5"],
    // A font within a style sheet is a data: address, which the server's policy does not let in.
    assetsInlineLimit: 0,
    // A fault that a user reports should name our lines; maps are made but not shipped.
    sourcemap: false,
    chunkSizeWarningLimit: 600,
    // Else each icon that two pages share would be a request of its own.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "icons", test: /@tabler/ }] } } },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"] },
})

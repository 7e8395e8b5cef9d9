import "@fontsource-variable/inter"
import "@mantine/core/styles.css"
import "@mantine/notifications/styles.css"
import "./app/base.css"
import { MantineProvider } from "@mantine/core"
import { ModalsProvider } from "@mantine/modals"
import { Notifications } from "@mantine/notifications"
import { QueryClientProvider } from "@tanstack/react-query"
import { setNonce } from "get-nonce"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { RouterProvider } from "react-router"
import { queryClient } from "./api/queries"
import { startLanguage } from "./app/language"
import { styleNonce } from "./app/nonce"
import { router } from "./app/routes"
import { readableGreys, theme } from "./app/theme"

const root = document.getElementById("root")
if (!root) throw new Error("index.html has no element with the id `root`")

// What keeps the page still behind a dialog writes a <style> element of its own.
setNonce(styleNonce())
await startLanguage()

createRoot(root).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={readableGreys}
      defaultColorScheme="auto"
      getStyleNonce={styleNonce}
    >
      <QueryClientProvider client={queryClient}>
        <ModalsProvider>
          <Notifications position="bottom-right" />
          <RouterProvider router={router} />
        </ModalsProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)

import { createBrowserRouter, Navigate } from "react-router"
import { Broken } from "./Broken"
import { NotFound } from "./NotFound"
import { Shell } from "./Shell"

// Each page is loaded when it is first gone to. A page module exports its `Component`.
export const router = createBrowserRouter([
  {
    path: "/",
    element: <Shell />,
    errorElement: <Broken />,
    hydrateFallbackElement: <></>,
    children: [
      {
        errorElement: <Broken />,
        children: [
          { index: true, element: <Navigate to="/assistants" replace /> },
          { path: "assistants/:assistantId?", lazy: () => import("../assistants/AssistantsPage") },
          { path: "threads/:threadId?", lazy: () => import("../threads/ThreadsPage") },
          { path: "files/:fileId?", lazy: () => import("../files/FilesPage") },
          { path: "vector-stores/:storeId?", lazy: () => import("../vector-stores/VectorStoresPage") },
          { path: "*", element: <NotFound /> },
        ],
      },
    ],
  },
])

import { QueryClient } from "@tanstack/react-query"
import { faultOf, isWorthRetrying } from "./errors"

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // The openai package has tried twice already; a second round helps only where the server was away.
      retry: (count, error) => count < 1 && isWorthRetrying(faultOf(error)),
    },
  },
})

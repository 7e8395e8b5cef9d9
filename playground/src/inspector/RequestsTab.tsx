import { Group, Stack, Text } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useTranslation } from "react-i18next"
import { api } from "../api/client"
import { FaultNotice } from "../app/FaultNotice"
import { useFormat } from "../app/format"
import type { Run } from "../threads/objects"
import { JsonDetails } from "./JsonDetails"
import { isUnknownToServer, type ModelRequest, requestsPath } from "./modelRequests"
import { RequestMessages } from "./RequestMessages"

/** What the run's model was sent, word for word. */
export function RequestsTab({ run }: { run: Run }) {
  const { t } = useTranslation("inspector")
  const { data, error, isPending, refetch } = useQuery({
    // Each step of the run may have been another request.
    queryKey: ["model-requests", run.id, run.status, run.usage?.total_tokens],
    queryFn: async () => (await api().get<{ data: ModelRequest[] }>(requestsPath(run))).data,
    retry: false,
  })
  if (isPending) return null
  if (error && !isUnknownToServer(error)) return <FaultNotice error={error} onRetry={() => void refetch()} />
  if (!data || data.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t(error ? "requests.unknown" : "requests.none")}
      </Text>
    )
  }
  return (
    <Stack gap="lg">
      {data.map((request, place) => (
        <Request key={place} request={request} number={place + 1} />
      ))}
    </Stack>
  )
}

function Request({ request, number }: { request: ModelRequest; number: number }) {
  const { t } = useTranslation("inspector")
  const format = useFormat()
  const { body, model, upstream, created_at } = request
  return (
    <section>
      <Group gap="xs" justify="space-between">
        <Text size="sm" fw={600}>
          {t("requests.title", { number })}
        </Text>
        <Text size="xs" c="dimmed">
          {format.moment(created_at)}
        </Text>
      </Group>
      <Text size="xs" c="dimmed">
        {[
          model,
          upstream,
          t("requests.messages", { count: body.messages?.length ?? 0 }),
          t("requests.tools", { count: body.tools?.length ?? 0 }),
        ]
          .filter(Boolean)
          .join(" · ")}
      </Text>
      <RequestMessages messages={body.messages ?? []} />
      <JsonDetails title={t("requests.json")} value={body} />
    </section>
  )
}

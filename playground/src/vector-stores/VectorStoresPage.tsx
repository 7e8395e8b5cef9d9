import { Button, Text } from "@mantine/core"
import { IconDatabase, IconPlus } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { useNavigate, useParams } from "react-router"
import { EmptyState } from "../app/EmptyState"
import { useFormat } from "../app/format"
import { ListPanel } from "../app/ListPanel"
import { MasterDetail } from "../app/MasterDetail"
import { notifyFault } from "../app/notify"
import { useCreateStore, useVectorStores, type VectorStore } from "./queries"
import { StoreDetail } from "./StoreDetail"

export function Component() {
  const { t } = useTranslation("files")
  const { storeId } = useParams()
  const navigate = useNavigate()
  const stores = useVectorStores()
  const create = useCreateStore()

  async function make() {
    try {
      const store = await create.mutateAsync({ name: t("stores.newName") })
      await navigate(`/vector-stores/${store.id}`, { state: { isNew: true } })
    } catch (error) {
      notifyFault(error)
    }
  }

  const newButton = (
    <Button
      size="xs"
      leftSection={<IconPlus size={15} aria-hidden />}
      loading={create.isPending}
      onClick={() => void make()}
    >
      {t("stores.new")}
    </Button>
  )
  const isFirstVisit = stores.data?.length === 0 && !storeId
  if (isFirstVisit) {
    return (
      <EmptyState isPage icon={IconDatabase} title={t("stores.empty.title")} text={t("stores.empty.text")}>
        {newButton}
      </EmptyState>
    )
  }
  return (
    <MasterDetail
      list={
        <ListPanel
          title={t("stores.title")}
          searchLabel={t("stores.search")}
          action={newButton}
          entries={stores.data?.map((store) => ({
            id: store.id,
            path: `/vector-stores/${store.id}`,
            title: store.name || t("stores.untitled"),
            isUntitled: !store.name,
            below: <Summary store={store} />,
            words: store.id,
          }))}
          list={stores}
        />
      }
      detail={storeId ? <StoreDetail key={storeId} id={storeId} /> : null}
      placeholder={
        stores.error ? null : (
          <EmptyState icon={IconDatabase} title={t("stores.choose.title")} text={t("stores.choose.text")} />
        )
      }
    />
  )
}

function Summary({ store }: { store: VectorStore }) {
  const { t } = useTranslation("files")
  const { bytes } = useFormat()
  return (
    <>
      <span>
        {t("stores.files", { count: store.file_counts.total })} · {bytes(store.usage_bytes)}
      </span>
      {store.status === "in_progress" && <span>{t("store.status.in_progress")}…</span>}
      {store.status === "expired" && <span>{t("stores.expired")}</span>}
      {store.file_counts.failed > 0 && (
        <Text span inherit c="var(--mantine-color-error)">
          {t("stores.failed", { count: store.file_counts.failed })}
        </Text>
      )}
    </>
  )
}

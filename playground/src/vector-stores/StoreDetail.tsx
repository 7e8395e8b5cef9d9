import { ActionIcon, Alert, Center, Loader, Progress, Stack, Tabs, Title } from "@mantine/core"
import { IconFiles, IconSearch, IconSettings, IconTrash } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { useNavigate } from "react-router"
import { CopyId } from "../app/CopyId"
import { confirmDeletion } from "../app/confirm"
import { FaultNotice } from "../app/FaultNotice"
import { BackToList } from "../app/MasterDetail"
import { AddStoredFile } from "./AddStoredFile"
import { useDeleteStore, useVectorStore, type VectorStore } from "./queries"
import { SearchTab } from "./SearchTab"
import classes from "./StoreDetail.module.css"
import { StoreFiles } from "./StoreFiles"
import { StoreSettings } from "./StoreSettings"

export function StoreDetail({ id }: { id: string }) {
  const { t } = useTranslation("files")
  const { data: store, error, refetch } = useVectorStore(id)
  if (error) {
    return (
      <Stack p="lg">
        <BackToList to="/vector-stores" />
        <FaultNotice error={error} onRetry={() => void refetch()} />
      </Stack>
    )
  }
  if (!store) {
    return (
      <Center h="100%">
        <Loader aria-label={t("loading")} />
      </Center>
    )
  }
  return (
    <div>
      <Header store={store} />
      <div className={classes.body}>
        {store.status === "expired" && (
          <Alert color="orange" variant="light" title={t("stores.expired")}>
            {t("stores.expiredText")}
          </Alert>
        )}
        <Reading store={store} />
        <Tabs defaultValue="files" keepMounted={false}>
          <Tabs.List mb="md">
            <Tabs.Tab value="files" leftSection={<IconFiles size={16} aria-hidden />}>
              {t("stores.tabs.files")}
            </Tabs.Tab>
            <Tabs.Tab value="search" leftSection={<IconSearch size={16} aria-hidden />}>
              {t("stores.tabs.search")}
            </Tabs.Tab>
            <Tabs.Tab value="settings" leftSection={<IconSettings size={16} aria-hidden />}>
              {t("stores.tabs.settings")}
            </Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="files">
            <Stack gap="md">
              <StoreFiles storeId={id} ensureStore={async () => id} hint={t("stores.dropHint")} />
              <AddStoredFile store={store} />
            </Stack>
          </Tabs.Panel>
          <Tabs.Panel value="search">
            <SearchTab store={store} />
          </Tabs.Panel>
          <Tabs.Panel value="settings">
            <StoreSettings store={store} />
          </Tabs.Panel>
        </Tabs>
      </div>
    </div>
  )
}

function Header({ store }: { store: VectorStore }) {
  const { t } = useTranslation("files")
  const navigate = useNavigate()
  const deletion = useDeleteStore()
  const name = store.name || t("stores.untitled")

  function askToDelete() {
    confirmDeletion({
      title: t("stores.delete.title", { name }),
      text: t("stores.delete.text"),
      onConfirm: async () => {
        await deletion.mutateAsync(store.id)
        await navigate("/vector-stores")
      },
    })
  }

  return (
    <header className={classes.header}>
      <BackToList to="/vector-stores" />
      <div className={classes.names}>
        <Title order={1} size="h4" lineClamp={1}>
          {name}
        </Title>
        <CopyId id={store.id} />
      </div>
      <ActionIcon
        variant="default"
        size={36}
        onClick={askToDelete}
        aria-label={t("stores.delete.action")}
        title={t("stores.delete.action")}
      >
        <IconTrash size={17} />
      </ActionIcon>
    </header>
  )
}

/** How many of the files are read, while some are not. */
function Reading({ store: { file_counts: counts } }: { store: VectorStore }) {
  const { t } = useTranslation("files")
  if (counts.in_progress === 0) return null
  const done = counts.total - counts.in_progress
  return (
    <Progress
      value={(100 * done) / counts.total}
      animated
      aria-label={t("stores.progress", { done, total: counts.total })}
    />
  )
}
